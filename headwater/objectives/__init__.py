"""One file per objective, pretext and labelled alike, behind one interface."""

from headwater.objectives.classification import Classification
from headwater.objectives.colorization import Colorization
from headwater.objectives.continuation import Continuation
from headwater.objectives.coupled import CoupledObjective
from headwater.objectives.ctc import CTC
from headwater.objectives.denoising import Denoising
from headwater.objectives.frame_order import FrameOrder
from headwater.objectives.frame_prediction import FutureFrames, PastFrames
from headwater.objectives.geometric_transform import GeometricTransform
from headwater.objectives.image_generation import ImageGeneration
from headwater.objectives.jigsaw import Jigsaw
from headwater.objectives.labelled_retrieval import LabelledRetrieval
from headwater.objectives.masked_autoencoding import MaskedAutoencoding, MaskedSpectrogram
from headwater.objectives.masked_patch import MaskedPatches
from headwater.objectives.masked_patch_classes import MaskedPatchClasses
from headwater.objectives.masked_prediction import MaskedTokens
from headwater.objectives.masked_tubelets import MaskedTubelets
from headwater.objectives.mixed import Mixed
from headwater.objectives.multi_label import MultiLabel
from headwater.objectives.next_item import NextItem
from headwater.objectives.next_sentence import NextSentence
from headwater.objectives.next_token import NextToken
from headwater.objectives.objective import LabelledObjective, LossTerm, Objective, Task
from headwater.objectives.pair_contrast import PairContrast
from headwater.objectives.pair_match import PairMatch
from headwater.objectives.picture_distillation import PictureDistillation
from headwater.objectives.question_answering import QuestionAnswering
from headwater.objectives.regression import Regression
from headwater.objectives.replaced_token import ReplacedToken
from headwater.objectives.retrieval import Retrieval
from headwater.objectives.self_distillation import SelfDistillation
from headwater.objectives.sentence_contrast import SentenceContrast
from headwater.objectives.sentence_order import SentenceOrder
from headwater.objectives.sequence_to_sequence import SequenceToSequence
from headwater.objectives.similarity import Similarity
from headwater.objectives.span_corruption import SpanCorruption
from headwater.objectives.super_resolution import SuperResolution
from headwater.objectives.tagging import Tagging
from headwater.objectives.view_contrast import ViewContrast

__all__ = [
    "CTC",
    "Classification",
    "Colorization",
    "Continuation",
    "CoupledObjective",
    "Denoising",
    "FrameOrder",
    "FutureFrames",
    "GeometricTransform",
    "ImageGeneration",
    "Jigsaw",
    "LabelledObjective",
    "LabelledRetrieval",
    "LossTerm",
    "MaskedAutoencoding",
    "MaskedPatchClasses",
    "MaskedPatches",
    "MaskedSpectrogram",
    "MaskedTokens",
    "MaskedTubelets",
    "Mixed",
    "MultiLabel",
    "NextItem",
    "NextSentence",
    "NextToken",
    "Objective",
    "PairContrast",
    "PairMatch",
    "PastFrames",
    "PictureDistillation",
    "QuestionAnswering",
    "Regression",
    "ReplacedToken",
    "Retrieval",
    "SelfDistillation",
    "SentenceContrast",
    "SentenceOrder",
    "SequenceToSequence",
    "Similarity",
    "SpanCorruption",
    "SuperResolution",
    "Tagging",
    "Task",
    "ViewContrast",
]
