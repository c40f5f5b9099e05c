"""The two objectives and who learns from which (Sec. 3.2).

========================  =============  =============
variable                  learns from O  learns from G
========================  =============  =============
``p``, cell probability   no             yes
``b``, box                yes            no
``S``, foreground, mask   yes            no
``I``, inpainter          frozen         frozen
========================  =============  =============

``joint=True`` (Fig. 3b) opens both closed cells: O reaches ``p``, and G reaches ``b``, by the area that it divides by
and by the error that the edges of the box sweep over (the inpainted frame itself stays a constant, as ``B`` always
does).
"""

from typing import Protocol

from torch import Tensor


class Estimator(Protocol):
    """Draws from the proposals: how losses of drawn cells become an expectation over all cells."""

    @property
    def cell(self) -> Tensor:
        """The drawn cells, (B, K)."""

    def expectation(self, value: Tensor, differentiable: bool = True) -> Tensor:
        """(B, K) -> (B,); ``differentiable`` tells whether the result has a gradient in ``p``."""


def foreground_objective(samples: Estimator, loss: Tensor, joint: bool = False) -> Tensor:
    """``O(I) = E_c[L(F(I, b_c, I(I, b_c)), I)]``, Eq. (2) with the learned background.

    Args:
        samples: The drawn cells.
        loss: Reconstruction loss of each drawn cell, (B, K).
        joint: Also let ``p`` learn from it.

    Returns:
        (B,).
    """
    return samples.expectation(loss, differentiable=joint)


def background_objective(samples: Estimator, error: Tensor, area: Tensor, joint: bool = False) -> Tensor:
    """``G(I) = -E_c[L(I(I, b_c), I) / a(b_c)]``, Eq. (6).

    Args:
        samples: The drawn cells.
        error: Inpainting error of each drawn cell, mean over the frame, (B, K); a constant, unless ``joint``.
        area: ``a(b_c)``, a fraction of the frame, (B, K).
        joint: Also let ``b`` learn from it.

    Returns:
        (B,).
    """
    density = error / area
    return -samples.expectation(density if joint else density.detach())
