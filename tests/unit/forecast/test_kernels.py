import pytest
import torch

from forerun.domain.campaign import CampaignType
from forerun.forecast.kernels import KERNELS, at, highest

X = torch.linspace(-3600.0, 40000.0, 43601)


@pytest.mark.parametrize("shape", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("kind", list(CampaignType))
def test_a_kernel_is_nothing_before_its_onset_rises_to_one_and_never_again(kind, shape):
    window, factor = torch.tensor(7200.0), torch.tensor(shape)
    curve, mode = at(kind, X, window, factor), KERNELS[kind].mode(window, factor)
    assert curve[X < 0].abs().max() == 0
    assert curve.min() >= 0
    assert curve.max() == pytest.approx(1.0, abs=0.02)
    rising, falling = curve[mode >= X], curve[mode <= X]
    assert (rising.diff() >= -1e-5).all()
    assert (falling.diff() <= 1e-5).all()


def test_published_time_constants():
    one, window = torch.tensor(1.0), torch.tensor(3600.0)
    spot = at(CampaignType.TV_SPOT, X, window, one)
    after = spot[(X >= 13) & (X <= 13 + 120)].sum() / spot[X >= 13].sum()
    assert after == pytest.approx(0.75, abs=0.01)  # three quarters within two minutes
    post = at(CampaignType.INFLUENCER, torch.tensor([20000.0, 40000.0]), window, one)
    assert (post[0] / post[1]).log() / torch.tensor(2.0).log() == pytest.approx(1.4, abs=0.05)
    push = at(CampaignType.PUSH_NOTIFICATION, X, window, one)
    assert X[push.argmax()] == pytest.approx(300.0, abs=2)  # when the sending ends


@pytest.mark.parametrize("kind", list(CampaignType))
def test_the_highest_of_a_cell_is_that_of_its_points(kind):
    window, factor = torch.tensor(1800.0), torch.tensor(1.0)
    for low, high in ((-100.0, 50.0), (0.0, 600.0), (500.0, 560.0), (1700.0, 2600.0)):
        points = at(kind, torch.linspace(low, high, 20001), window, factor)
        found = highest(kind, torch.tensor(low), torch.tensor(high), window, factor)
        assert found == pytest.approx(points.max().item(), abs=2e-3)
