"""The parameters of ClusterEvaluator: checked, and carried to the executor as exec properties."""

import dataclasses

from tfx.orchestration.data_types import RuntimeParameter

from tfx_kmeans.cluster_evaluator import gates
from tfx_kmeans.kmeans import settings as kmeans_settings


@dataclasses.dataclass(frozen=True)
class Settings:
    """Parameters of an evaluation; see `ClusterEvaluator` for what they mean.

    Any of them may be a RuntimeParameter while the pipeline is built; such a one is checked in the
    executor, when its value is known.

    Attributes:
        bounds: thresholds by their names, those of gates.GATES; None where there is none.
    """

    weight_feature: str | None
    train_split: str | None
    eval_split: str
    memory_budget: int
    bounds: dict

    def check(self, has_baseline):
        """Checks every parameter whose value is known.

        Args:
            has_baseline: bool, whether there is a channel that a baseline may come from.

        Raises:
            TypeError: one is of the wrong type.
            ValueError: one is out of range, or a threshold is on what will not be there.
        """
        for name, check in kmeans_settings.CHECKS_OF_READING.items():
            if not isinstance(getattr(self, name), RuntimeParameter):
                check(name, getattr(self, name))
        gates.check_bounds(self.bounds, self.train_split is not None, has_baseline)

    def to_exec_properties(self):
        """Returns the parameters as exec properties; those that are None are left out."""
        properties = {k: v for k, v in vars(self).items() if k != 'bounds'} | self.bounds
        for name, value in self.bounds.items():
            if isinstance(value, int):
                properties[name] = float(value)
        return {name: value for name, value in properties.items() if value is not None}

    @classmethod
    def from_exec_properties(cls, properties):
        """Reads back and checks what `to_exec_properties` gave."""
        names = [field.name for field in dataclasses.fields(cls) if field.name != 'bounds']
        settings = cls(
            # an exec property that is None is not stored
            **{name: properties.get(name) for name in names},
            bounds={name: properties.get(name) for name in gates.GATES},
        )
        settings.check(has_baseline=True)
        return settings
