"""Published layouts: settings ↔ config.json, our tensor names ↔ published names; one file each."""

from headwater.errors import BadDataError
from headwater.models.heads import HeadSettings
from headwater.models.layouts import (
    bart,
    bert,
    clip,
    dinov2,
    electra,
    eurobert,
    gpt2,
    llama,
    m2m_100,
    marian,
    modernbert,
    native,
    t5,
    vit,
    vivit,
)
from headwater.models.layouts.names import Layout, SpecialTokens, from_published, to_published
from headwater.models.settings import BackboneSettings

PUBLISHED: dict[str, Layout] = {
    layout.model_type: layout
    for layout in (
        modernbert.LAYOUT,
        eurobert.LAYOUT,
        llama.LAYOUT,
        bert.LAYOUT,
        electra.LAYOUT,
        gpt2.LAYOUT,
        marian.LAYOUT,
        m2m_100.LAYOUT,
        bart.LAYOUT,
        t5.LAYOUT,
        vivit.LAYOUT,
        vit.LAYOUT,
        dinov2.LAYOUT,
        clip.LAYOUT,
    )
}
LAYOUTS: dict[str, Layout] = PUBLISHED | native.LAYOUTS


def layout_for(settings: BackboneSettings, head: HeadSettings | None) -> Layout:
    """The published layout that can say this model, or the native one."""
    for layout in PUBLISHED.values():
        if layout.refusal(settings, head) is None:
            return layout
    return native.LAYOUTS[native.model_type_of(settings)]


def has_home(settings: BackboneSettings, head: HeadSettings) -> bool:
    """True where a published layout can say this model with this head."""
    return layout_for(settings, head).model_type in PUBLISHED


def layout_named(model_type: object) -> Layout:
    """The layout of a config's ``model_type``."""
    if not isinstance(model_type, str) or model_type not in LAYOUTS:
        raise BadDataError(
            f"config.json says model_type = {model_type!r}; this program can load {', '.join(LAYOUTS)}"
        )
    return LAYOUTS[model_type]


__all__ = [
    "LAYOUTS",
    "PUBLISHED",
    "Layout",
    "SpecialTokens",
    "from_published",
    "has_home",
    "layout_for",
    "layout_named",
    "to_published",
]
