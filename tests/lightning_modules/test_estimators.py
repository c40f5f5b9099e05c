"""Estimators: unbiased in value and gradient against the exact sum (Eq. 3) on a small grid."""

import pytest
import torch

from lightning_modules.estimators import (
    Estimator,
    Exact,
    Gumbel,
    Importance,
    LeaveOneOut,
    Samples,
    Uniform,
    sampling_distribution,
)
from lightning_modules.geometry import live_cells

GRID = (4, 5)
LIVE = live_cells(GRID)


def probabilities(logit: torch.Tensor) -> torch.Tensor:
    return logit.masked_fill(~LIVE, float("-inf")).softmax(-1)


@pytest.mark.parametrize(
    "estimator", [Importance(1, 0.02), Importance(3, 0.02), Uniform(2), LeaveOneOut(4, 0.02), Exact()], ids=str
)
def test_estimators_are_unbiased_in_value_and_gradient(estimator: Estimator) -> None:
    torch.manual_seed(0)
    logit, value = torch.randn(20), torch.rand(20) + 0.5
    exact_logit = logit.clone().requires_grad_()
    exact = (probabilities(exact_logit) * value).sum()
    exact.backward()

    trials = 200_000
    sampled_logit = logit.clone().requires_grad_()
    p = probabilities(sampled_logit).expand(trials, -1)
    samples = estimator.draw(p, LIVE)
    estimates = samples.expectation(value[samples.cell])
    estimates.mean().backward()
    error = 5 * estimates.detach().std() / trials**0.5 + 1e-5
    assert (estimates.mean() - exact).abs() < error
    assert exact_logit.grad is not None and sampled_logit.grad is not None
    torch.testing.assert_close(sampled_logit.grad, exact_logit.grad, atol=4e-3, rtol=0)


def test_gumbel_draws_from_p_and_its_gradient_goes_straight_through_the_choice() -> None:
    torch.manual_seed(0)
    value, trials = torch.rand(20) + 0.5, 200_000
    logit = torch.randn(20)
    p = probabilities(logit).expand(trials, -1)
    samples = Gumbel(2, 0.5).draw(p, LIVE)
    estimates = samples.expectation(value[samples.cell])
    assert (estimates.mean() - p[0] @ value).abs() < 5 * estimates.std() / trials**0.5

    # what is worth the same everywhere teaches nothing
    logit = logit.clone().requires_grad_()
    samples = Gumbel(2, 0.5).draw(probabilities(logit).expand(100, -1), LIVE)
    (gradient,) = torch.autograd.grad(samples.expectation(torch.full((100, 2), 3.0)).sum(), logit)
    assert not gradient.any()

    # one draw by hand: the derivative of the softmax of the perturbed cells at the chosen one
    one = Gumbel(1, 0.5).draw(probabilities(logit)[None], LIVE, torch.Generator().manual_seed(3))
    (gradient,) = torch.autograd.grad(one.expectation(torch.tensor([[2.0]])).sum(), logit)
    noise = -torch.empty(1, 1, 20).exponential_(generator=torch.Generator().manual_seed(3)).log()[0, 0]
    soft = ((probabilities(logit.detach()).log() + noise) / 0.5).softmax(0)
    cell = int(one.cell)
    assert cell == int(soft.argmax())
    by_hand = -soft * soft[cell] * 2.0 / 0.5
    by_hand[cell] += soft[cell] * 2.0 / 0.5
    torch.testing.assert_close(gradient, by_hand, atol=1e-6, rtol=1e-4)


def test_the_exact_estimator_is_the_sum() -> None:
    p = probabilities(torch.randn(3, 20))
    value = torch.rand(20)
    samples = Exact().draw(p, LIVE)
    assert samples.cell.shape == (3, int(LIVE.sum()))
    torch.testing.assert_close(samples.expectation(value[samples.cell]), (p * value).sum(1))


def test_leave_one_out_has_the_smaller_gradient_variance() -> None:
    torch.manual_seed(0)
    value = torch.rand(20) + 5
    spread = {}
    for kind in (Importance, LeaveOneOut):
        logit = torch.zeros(20_000, 20, requires_grad=True)
        samples = kind(4, 0.01).draw(probabilities(logit), LIVE)
        samples.expectation(value[samples.cell]).sum().backward()
        assert logit.grad is not None
        spread[kind] = logit.grad.var(dim=0).sum()
    assert spread[LeaveOneOut] < 0.1 * spread[Importance]


def test_the_sampling_distribution_is_equation_5_on_the_live_cells() -> None:
    p = probabilities(torch.randn(2, 20)).requires_grad_()
    q = sampling_distribution(p, LIVE, 0.01)
    assert not q.requires_grad
    torch.testing.assert_close(q.sum(1), torch.ones(2))
    assert q[:, ~LIVE].abs().max() == 0
    torch.testing.assert_close(q[:, LIVE], p.detach()[:, LIVE] * (1 - 6 * 0.01) + 0.01)


def test_dead_cells_are_never_drawn() -> None:
    p = probabilities(torch.zeros(500, 20))
    for estimator in (Importance(3, 0.01), Uniform(3), Gumbel(3), Exact()):
        assert LIVE[estimator.draw(p, LIVE).cell].all()


def test_weights_can_be_cut_from_p() -> None:
    samples = Samples(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, requires_grad=True))
    assert samples.expectation(torch.ones(1, 1)).requires_grad
    assert not samples.expectation(torch.ones(1, 1), differentiable=False).requires_grad


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (LeaveOneOut, {"samples": 1}, "samples of LeaveOneOut is 1, expected at least 2."),
        (Uniform, {"samples": 0}, "samples of Uniform is 0, expected at least 1."),
        (Importance, {"epsilon": -0.1}, "epsilon of Importance is -0.1, expected 0 to 1."),
        (Gumbel, {"temperature": -1.0}, "temperature of Gumbel is -1.0, expected above 0."),
    ],
)
def test_impossible_settings_are_refused(kind: type[Estimator], arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        kind(**arguments)


def test_the_floor_of_the_sampling_distribution_has_a_range_that_the_cells_decide() -> None:
    Importance(epsilon=0.25).require_cells(4)
    with pytest.raises(ValueError, match=r"epsilon of LeaveOneOut is 0.5, expected 0 to 1/4, one over the number"):
        LeaveOneOut(epsilon=0.5).require_cells(4)


def test_a_value_of_another_shape_is_refused() -> None:
    samples = Importance(epsilon=0.01).draw(probabilities(torch.zeros(2, 20)), LIVE)
    with pytest.raises(ValueError, match=r"expected \(2, 1\)"):
        samples.expectation(torch.zeros(2))
