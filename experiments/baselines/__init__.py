"""Baselines: other methods on the same data, measured in the same way; one small file for each kind.

A baseline (:class:`~experiments.baselines.method.Baseline`) gives a soft mask, a box and a confidence for each frame;
:class:`~experiments.baselines.module.BaselineModule` puts it behind the test step of a LightningModule. The floors,
which look at nothing, are in callbacks/mask_metrics.py.
"""

from experiments.baselines.cam import Cam
from experiments.baselines.detectors import CocoDetector, MaskRcnn
from experiments.baselines.flow import Flow, FlowGrabCut
from experiments.baselines.inpainted import GenericInpainter, NavierStokes, SceneInpainter, Telea
from experiments.baselines.method import Baseline
from experiments.baselines.residual import CompensatedBackground, StaticBackground
from experiments.baselines.subtraction import Knn, KnnCompensated, Mog2, Mog2Compensated
from experiments.baselines.unsup_dilate_unet import UnsupDilateUNet
from experiments.baselines.videopca import VideoPca

METHODS: dict[str, type[Baseline]] = {
    "videopca": VideoPca,
    "unsup_dilate_unet": UnsupDilateUNet,
    "static_background": StaticBackground,
    "compensated_background": CompensatedBackground,
    "mog2": Mog2,
    "mog2_compensated": Mog2Compensated,
    "knn": Knn,
    "knn_compensated": KnnCompensated,
    "flow": Flow,
    "flow_grabcut": FlowGrabCut,
    "inpaint_telea": Telea,
    "inpaint_navier_stokes": NavierStokes,
    "inpaint_scene": SceneInpainter,
    "inpaint_generic": GenericInpainter,
    "mask_rcnn": MaskRcnn,
    "coco_detector": CocoDetector,
    "cam": Cam,
}

__all__ = ["METHODS", "Baseline"]
