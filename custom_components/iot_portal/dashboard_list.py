"""The dashboard's list of SIMs: a template with one entry a SIM, those that need attention first."""

from collections.abc import Mapping, Sequence
import json
from typing import Final

from homeassistant.const import UnitOfInformation
from homeassistant.util.unit_conversion import InformationConverter

from .api import ACTIVATED_WORDS

# The entities that an entry is made from.
ENTITIES: Final = {
    "status": "sensor.status",
    "usage": "sensor.data_usage",
    "percent": "sensor.allowance_used",
    "session": "binary_sensor.data_session",
    "started": "sensor.session_started",
    "ended": "sensor.session_ended",
    "overage": "binary_sensor.projected_overage",
    "pending": "binary_sensor.change_pending",
}
BYTES: Final = {
    str(unit): InformationConverter.convert(1, unit, UnitOfInformation.BYTES)
    for unit in UnitOfInformation
    if unit in InformationConverter.VALID_UNITS
}
AMOUNTS: Final = [[BYTES[unit], unit] for unit in ("TB", "GB", "MB", "kB")]
# Before it are set: `sims`, sorted by name and with names as HTML, `portal`, `ids` of all entities, `texts`, `words` of
# statuses, `active` ones, `bytes`, `amounts` and `total`. Jinja needs what a macro uses before the macro. The first
# line begins a block of HTML, in which nothing is markdown.
TEMPLATE: Final = """\
{%- set all = expand(ids) %}
{%- set found = dict(zip(all | map(attribute='entity_id') | list, all)) %}
{%- set good = all | rejectattr('state', 'in', ['unavailable', 'unknown']) | list %}
{%- set values = dict(zip(good | map(attribute='entity_id') | list, good | map(attribute='state') | list)) %}
{%- set is_away = found[portal].state == 'off' if portal in found else false %}

{%- macro amount(entity) %}
{%- set size = values[entity] | float(0) * bytes.get(found[entity].attributes.unit_of_measurement, 1) %}
{%- set factor, unit = amounts | selectattr(0, 'le', size) | first | default(amounts | last, true) %}
{%- set number = ('%.1f' if size < 100 * factor else '%.0f') | format(size / factor) %}
{{- number | regex_replace('[.]0$') | replace('.', texts.decimal_mark) ~ ' ' ~ unit }}
{%- endmacro %}

{%- macro ago(seconds) %}
{%- set age = namespace(unit='') %}
{%- for unit, length, end in [('minutes', 60, 60), ('hours', 3600, 24), ('days', 86400, 31),
    ('months', 2629746, 12), ('years', 31556952, 9999)] if not age.unit %}
{%- set count = [1, (seconds / length) | round | int] | max %}
{%- if not age.unit and count < end %}{% set age.unit = unit %}{% set age.count = count %}{% endif %}
{%- endfor %}
{%- set form = 'one' if age.count == 1
    else 'few' if age.count % 10 in [2, 3, 4] and age.count % 100 not in [12, 13, 14] else 'other' %}
{{- texts['ago.' ~ age.unit ~ '.' ~ form] | replace('{count}', age.count) }}
{%- endmacro %}

{%- macro last_session(sim, seconds) %}
{{- '' if sim.session not in values
    else texts.in_session if values[sim.session] == 'on'
    else texts.last_session | replace('{ago}', ago(seconds)) if seconds is not none
    else texts.no_session if sim.started or sim.ended else '' }}
{%- endmacro %}

{%- macro reason(rank, sim, seconds) %}
{%- set requested = found[sim.pending].attributes.get('requested_status', '') if rank == 'pending' else '' %}
{{- texts.pending | replace('{status}', words.get(requested, requested) | escape) if rank == 'pending'
    else last_session(sim, seconds) if rank == 'silent'
    else texts[rank] if rank in texts else '' }}
{%- endmacro %}

{%- macro facts(rank, sim, seconds) %}
{%- set status = values.get(sim.status, '') %}
{{- [
    words.get(status, status) | escape,
    texts.usage | replace('{amount}', amount(sim.usage)) if sim.usage in values else '',
    texts.share | replace('{percent}', values[sim.percent] | float(0) | round | int)
    if sim.percent in values else '',
    '' if rank == 'silent' else last_session(sim, seconds),
] | select | join('&nbsp;· ') }}
{%- endmacro %}

{%- macro name(sim) %}
{{- '<b><a href="/config/devices/device/' ~ sim.link ~ '">' ~ sim.name ~ '</a></b>' if sim.link
    else '<b>' ~ sim.name ~ '</b>' }}
{%- endmacro %}

{%- set ranks = ['over', 'projected', 'pending', 'unreadable', 'silent', 'inactive', 'fine', 'away', 'not_read'] %}
{%- set alerts = {'over': 'error', 'projected': 'warning', 'pending': 'info', 'unreadable': 'error', 'silent': 'warning'} %}
{%- set ns = namespace(ranked=[]) %}
{%- for sim in sims %}
{%- set status = values.get(sim.status, '') %}
{%- set percent = values.get(sim.percent, '-1') | float(-1) %}
{%- set session = values.get(sim.session, '') %}
{%- set times = [values.get(sim.started), values.get(sim.ended)] | select | map('as_datetime') | list %}
{%- set seconds = (now() - times | max).total_seconds() if times else none %}
{%- set was_read = status or sim.usage in values or session or sim.percent in values %}
{%- set rank = 'over' if percent >= 100
    else 'projected' if values.get(sim.overage) == 'on'
    else 'pending' if values.get(sim.pending) == 'on'
    else 'inactive' if status and (status | lower | regex_replace('[^a-z0-9]', '')) not in active
    else 'silent' if session == 'off' and (sim.started or sim.ended) and (seconds is none or seconds > 86400)
    else 'fine' if was_read
    else 'not_read' if sim.status not in found or found[sim.status].attributes.get('restored')
    else 'away' if is_away
    else 'unreadable' %}
{%- set ns.ranked = ns.ranked + [(ranks.index(rank), -percent, rank, sim, seconds)] %}
{%- endfor %}
{%- set count = ns.ranked | selectattr(0, 'lt', 5) | list | count %}
{%- if count %}
<p>{{ texts.attention | replace('{count}', count) | replace('{total}', total) }}</p>
{%- elif ns.ranked | selectattr(0, 'in', [5, 6]) | list %}
<div><ha-alert alert-type="success">{{ texts.all_fine }}</ha-alert></div>
{%- endif %}
{%- for place, _, rank, sim, seconds in ns.ranked | sort(attribute='0,1') %}
{%- set parts = [reason(rank, sim, seconds), facts(rank, sim, seconds)] %}
{%- if rank in alerts %}
<ha-alert alert-type="{{ alerts[rank] }}">{{ name(sim) }}&nbsp;· {{ parts | select | join('<br>') }}</ha-alert>
{%- else %}
<p>{{ name(sim) }}<br>{{ parts | select | join('&nbsp;· ') }}</p>
{%- endif %}
{%- endfor %}
{%- if total > sims | count %}
<p>{{ texts.not_shown | replace('{count}', total - sims | count) }}</p>
{%- endif %}
"""


def sim_list_template(
    sims: Sequence[Mapping[str, str]],
    *,
    total: int,
    portal: str,
    texts: Mapping[str, str],
    words: Mapping[str, str],
) -> str:
    """Return the template for SIMs, each with `name`, `link` and the id of each of ENTITIES, empty without one."""
    known = (sim[name] for sim in sims for name in ENTITIES)
    values = {
        "sims": sims,
        "total": total,
        "portal": portal,
        "ids": [entity for entity in (portal, *known) if entity],
        "texts": texts,
        "words": words,
        "active": sorted(ACTIVATED_WORDS),
        "bytes": BYTES,
        "amounts": AMOUNTS,
    }
    # One text of JSON, parsed when it is rendered: Jinja takes many times longer to compile literals.
    data = json.dumps(json.dumps(values, ensure_ascii=False), ensure_ascii=False)
    return "\n".join(
        (
            f"{{%- set json = {data} %}}",
            "{%- set data = json | from_json %}",
            *(f"{{%- set {name} = data.{name} %}}" for name in values),
            TEMPLATE,
        )
    )
