"""Estimators: unbiased in value and gradient against the exact sum (Eq. 3) on a small grid."""

import pytest
import torch

from lightning_modules.geometry import live_cells
from lightning_modules.sampling import Samples, random_holes, sample_cells, sampling_distribution

GRID = (4, 5)
LIVE = live_cells(GRID)


def probabilities(logit: torch.Tensor) -> torch.Tensor:
    return logit.masked_fill(~LIVE, float("-inf")).softmax(-1)


@pytest.mark.parametrize(
    ("estimator", "count"), [("importance", 1), ("importance", 3), ("uniform", 2), ("leave_one_out", 4)]
)
def test_estimators_are_unbiased_in_value_and_gradient(estimator: str, count: int) -> None:
    torch.manual_seed(0)
    logit, value = torch.randn(20), torch.rand(20) + 0.5
    exact_logit = logit.clone().requires_grad_()
    exact = (probabilities(exact_logit) * value).sum()
    exact.backward()

    trials = 200_000
    sampled_logit = logit.clone().requires_grad_()
    p = probabilities(sampled_logit).expand(trials, -1)
    samples = sample_cells(p, LIVE, estimator, count, epsilon=0.02)  # type: ignore[arg-type]
    estimates = samples.expectation(value[samples.cell])
    estimates.mean().backward()
    error = 5 * estimates.detach().std() / trials**0.5
    assert (estimates.mean() - exact).abs() < error
    assert exact_logit.grad is not None and sampled_logit.grad is not None
    torch.testing.assert_close(sampled_logit.grad, exact_logit.grad, atol=4e-3, rtol=0)


def test_gumbel_draws_from_p_and_its_gradient_goes_straight_through_the_choice() -> None:
    torch.manual_seed(0)
    value, trials = torch.rand(20) + 0.5, 200_000
    logit = torch.randn(20)
    p = probabilities(logit).expand(trials, -1)
    samples = sample_cells(p, LIVE, "gumbel", 2, temperature=0.5)
    estimates = samples.expectation(value[samples.cell])
    assert (estimates.mean() - p[0] @ value).abs() < 5 * estimates.std() / trials**0.5

    # what is worth the same everywhere teaches nothing
    logit = logit.clone().requires_grad_()
    samples = sample_cells(probabilities(logit).expand(100, -1), LIVE, "gumbel", 2, temperature=0.5)
    (gradient,) = torch.autograd.grad(samples.expectation(torch.full((100, 2), 3.0)).sum(), logit)
    assert not gradient.any()

    # one draw by hand: the derivative of the softmax of the perturbed cells at the chosen one
    one = sample_cells(probabilities(logit)[None], LIVE, "gumbel", 1, 0.0, torch.Generator().manual_seed(3), 0.5)
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
    samples = sample_cells(p, LIVE, "exact")
    assert samples.cell.shape == (3, int(LIVE.sum()))
    torch.testing.assert_close(samples.expectation(value[samples.cell]), (p * value).sum(1))


def test_leave_one_out_has_the_smaller_gradient_variance() -> None:
    torch.manual_seed(0)
    value = torch.rand(20) + 5
    spread = {}
    for name in ("importance", "leave_one_out"):
        logit = torch.zeros(20_000, 20, requires_grad=True)
        samples = sample_cells(probabilities(logit), LIVE, name, 4, 0.01)  # type: ignore[arg-type]
        samples.expectation(value[samples.cell]).sum().backward()
        assert logit.grad is not None
        spread[name] = logit.grad.var(dim=0).sum()
    assert spread["leave_one_out"] < 0.1 * spread["importance"]


def test_the_sampling_distribution_is_equation_5_on_the_live_cells() -> None:
    p = probabilities(torch.randn(2, 20)).requires_grad_()
    q = sampling_distribution(p, LIVE, 0.01)
    assert not q.requires_grad
    torch.testing.assert_close(q.sum(1), torch.ones(2))
    assert q[:, ~LIVE].abs().max() == 0
    torch.testing.assert_close(q[:, LIVE], p.detach()[:, LIVE] * (1 - 6 * 0.01) + 0.01)


def test_dead_cells_are_never_drawn() -> None:
    p = probabilities(torch.zeros(500, 20))
    for name in ("importance", "uniform", "gumbel"):
        assert LIVE[sample_cells(p, LIVE, name, 3, 0.01).cell].all()  # type: ignore[arg-type]


def test_weights_can_be_cut_from_p() -> None:
    samples = Samples(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, requires_grad=True))
    assert samples.expectation(torch.ones(1, 1)).requires_grad
    assert not samples.expectation(torch.ones(1, 1), differentiable=False).requires_grad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimator": "best"}, "best"),
        ({"estimator": "leave_one_out", "count": 1}, "got 1 draws per frame.* background_samples"),
        ({"epsilon": 0.5}, "epsilon=0.5"),
        ({"estimator": "gumbel", "temperature": 0.0}, "temperature of the estimator gumbel is 0"),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_cells(probabilities(torch.zeros(1, 20)), LIVE, **arguments)  # type: ignore[arg-type]


def test_a_value_of_another_shape_is_refused() -> None:
    samples = sample_cells(probabilities(torch.zeros(2, 20)), LIVE)
    with pytest.raises(ValueError, match=r"expected \(2, 1\)"):
        samples.expectation(torch.zeros(2))


def test_holes_have_the_sides_asked_for_and_come_from_the_generator() -> None:
    holes = random_holes(500, (0.3, 0.5), generator=torch.Generator().manual_seed(1))
    assert holes[:, 2:].min() >= 0.3 and holes[:, 2:].max() <= 0.5
    assert holes[:, :2].abs().max() <= 1 and holes[:, :2].abs().max() > 0.9
    assert torch.equal(holes, random_holes(500, (0.3, 0.5), generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("side", [(0.0, 0.5), (0.6, 0.5), (0.5, 1.5)])
def test_impossible_holes_are_refused(side: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="hole_side"):
        random_holes(1, side)
