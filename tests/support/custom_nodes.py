"""Nodes and artifact types of a user's own, for pipelines that are compiled."""

from tfx import types
from tfx import v1 as tfx
from tfx.types import artifact, standard_artifacts

InputArtifact = tfx.dsl.components.InputArtifact
OutputArtifact = tfx.dsl.components.OutputArtifact
Parameter = tfx.dsl.components.Parameter


class Measured(types.Artifact):
    TYPE_NAME = 'support.Measured'
    PROPERTIES = {  # noqa: RUF012 - TFX declares them so
        'rows': artifact.Property(type=artifact.PropertyType.INT),
        'error': artifact.Property(type=artifact.PropertyType.FLOAT),
        'unit': artifact.Property(type=artifact.PropertyType.STRING),
        'notes': artifact.Property(type=artifact.PropertyType.JSON_VALUE),
    }


class Nameless(types.Artifact):
    TYPE_NAME = 'Nameless'


class Hidden(types.Artifact):
    TYPE_NAME = 'support.Hidden'


class Model(types.Artifact):
    """Has the name of a standard type and is none."""

    TYPE_NAME = 'Model'


@tfx.dsl.components.component
def Produce(
    model: OutputArtifact[standard_artifacts.Model],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    flag: Parameter[bool] = False,
    word: Parameter[str] = 'a',
    number: Parameter[int] = 1,
    share: Parameter[float] = 0.5,
):
    """Writes a model and its blessing."""


@tfx.dsl.components.component
def Consume(
    trained: InputArtifact[standard_artifacts.Model] = None,
    verdict: InputArtifact[standard_artifacts.ModelBlessing] = None,
    number: Parameter[int] = 1,
):
    """Reads them, under names of its own."""


@tfx.dsl.components.component
def Count() -> tfx.dsl.components.OutputDict(rows=int):
    """Gives a value."""
    return {'rows': 1}


@tfx.dsl.components.component
def Measure(measured: OutputArtifact[Measured]):
    """Writes an artifact with properties."""


@tfx.dsl.components.component
def Compare(measured: InputArtifact[Measured]):
    """Reads an artifact with properties."""


@tfx.dsl.components.component
def Forget(nameless: OutputArtifact[Nameless]):
    """Writes an artifact that no container could name."""


@tfx.dsl.components.component
def Hide(hidden: OutputArtifact[Hidden]):
    """Writes an artifact that no container could import."""


@tfx.dsl.components.component
def Pretend(model: OutputArtifact[Model]):
    """Writes an artifact that looks like a standard one."""
