"""Masked tubelets: masked autoencoding of clips, the same places hidden in every frame."""

from headwater.objectives.masked_autoencoding import MaskedAutoencoding


class MaskedTubelets(MaskedAutoencoding):
    """A place that is hidden is hidden all the time, so that no other frame gives it away.

    Source: Tong et al. 2022 (VideoMAE), arXiv:2203.12602.
    """

    name = "masked_tubelets"
