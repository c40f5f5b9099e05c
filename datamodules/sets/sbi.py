"""SBI: fourteen scenes of still cameras, for which the background is to be found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from datamodules.readers.codes import MOVING
from datamodules.sets.cdnet import Cdnet


@dataclass(eq=False)
class Sbi(Cdnet):
    """SBI (Scene Background Initialization, 2015) with the masks of its moving pixels, in the manner of CDnet.

    ::

        ROOT/Board/input/in000050.png              clip "Board"; .jpg in CAVIAR2 and Foliage, any name that ends in it
        ROOT/Board/groundtruth/gt000050.png        the codes of CDnet; some masks have 1 for 255

    A file ROI.bmp or temporalROI.txt in the folder of a clip is used as in :class:`datamodules.sets.cdnet.Cdnet`. The
    data set's own page has the frames and a background for each scene, which is not used; the masks were made later.
    The layout is that of public code which reads them; it was not checked on the real files.
    """

    below: ClassVar[str] = "*/input"
    moving: ClassVar[tuple[int, ...]] = (1, MOVING)
    signs: ClassVar[frozenset[str]] = frozenset(
        {"Board", "Candela_m1.10", "CAVIAR1", "CAVIAR2", "CaVignal", "Foliage", "HallAndMonitor", "HighwayI"}
        | {"HighwayII", "HumanBody2", "IBMtest2", "PeopleAndFoliage", "Snellen", "Toscana"}
    )
