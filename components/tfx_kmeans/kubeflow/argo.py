"""What Argo, which runs the workflow of a pipeline, makes of names and of texts."""

import json
import re

# names of tasks and templates; the backend appends '-driver' to a node's
_NODE_ID = re.compile(r'[a-zA-Z]([-a-zA-Z0-9]{0,118}[a-zA-Z0-9])?')
_TAKEN_IDS = ('root', 'entrypoint')
# what is looked up or computed; Argo passes over others, such as the {{$}} of the launcher
_SCOPES = 'item|steps|inputs|outputs|pod|workflow|tasks|node|retries|lastRetry|cronworkflow'
_TAG = re.compile(rf'\{{\{{\s*(?:=|(?:{_SCOPES})\b).*?\}}\}}', re.DOTALL)


def problems_of_id(node_id, ids):
    """Finds what keeps `node_id` from being the id of a node beside `ids`, as sentences."""
    if not _NODE_ID.fullmatch(node_id) or node_id in _TAKEN_IDS:
        advice = re.sub('[^a-zA-Z0-9-]+', '-', node_id).strip('-')[:100]
        if not advice[:1].isalpha():
            advice = f'node-{advice}'.strip('-')
        advice = f'{advice}-node' if advice in _TAKEN_IDS else advice
        yield (
            'a node id takes letters, digits and hyphens alone, begins with a letter, has at most '
            f'120 characters, and is not {" or ".join(_TAKEN_IDS)}; use .with_id({advice!r})'
        )
    if f'{node_id}-driver' in ids:
        yield f"{node_id}-driver is the id of another node and the backend's name of a part of this"


def problems_of_texts(holder, value):
    """Finds the tags of Argo in the texts within `value`, as sentences.

    Args:
        holder: what `value` is, as the sentence begins.
        value: anything that JSON has.
    """
    for tag in dict.fromkeys(_TAG.findall(json.dumps(value, ensure_ascii=False))):
        yield (
            f'{holder} holds {tag}, which Argo fills in or stumbles over; write it in another way, '
            'or keep it in a file that the node reads'
        )
