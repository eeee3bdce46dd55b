"""What is believed of each campaign type before this shop has shown anything: plain numbers, no torch.

The size of a campaign is carried as the logarithm of its multiplier `1 + A` (peak demand over usual
demand), because in that space declared numbers, priors and past events are all roughly normal, a nil
event is 0 and a negative one is below it.
"""

from dataclasses import dataclass

from forerun.domain.campaign import CampaignType


@dataclass(frozen=True, slots=True)
class Prior:
    """Lognormal beliefs over one type's multiplier, delay and time scale.

    `delay_seconds` is the median time from the declared start to the onset; its spread is
    Student-t with two degrees of freedom: scale `delay_scale_seconds` on the early side, and
    `delay_scale_window` x window more on the late one, because a late send is rare but long.
    `shape_log_sd` is the log-sd of the factor on the kernel's time constant. `requests_per_person` turns an
    audience into requests over the event.
    """

    log_multiplier_mean: float
    log_multiplier_sd: float
    delay_seconds: float
    delay_scale_seconds: float
    delay_scale_window: float
    shape_log_sd: float
    requests_per_person: float
    source: str


# Natural logarithms: 0.69 = x2, 1.10 = x3, 2.30 = x10. A log-sd of 0.9 puts 90 % within a factor of 4.4.
# requests_per_person = share that comes x 20 requests per visit; both are judgements, see AUDIENCE_LOG_SD.
PRIORS: dict[CampaignType, Prior] = {
    CampaignType.FLASH_SALE: Prior(
        2.30, 0.9, 0.0, 2.0, 0.01, 0.7, 1.0, "surges of 10-100x reported by practitioners; lower end taken, wide"
    ),
    CampaignType.INFLUENCER: Prior(1.10, 1.0, 30.0, 60.0, 0.03, 0.7, 0.4, "size: judgement, wide"),
    CampaignType.NEWSLETTER: Prior(0.69, 0.7, 60.0, 120.0, 0.03, 0.7, 0.4, "size and times: judgement, wide"),
    CampaignType.PUSH_NOTIFICATION: Prior(1.10, 0.8, 5.0, 15.0, 0.02, 0.7, 0.6, "size and times: judgement, wide"),
    CampaignType.TV_SPOT: Prior(
        1.10, 0.9, 0.0, 10.0, 0.02, 0.4, 0.04, "peak 13 s after the spot: Kitts et al.; size: judgement, wide"
    ),
    CampaignType.PRODUCT_LAUNCH: Prior(1.10, 0.9, 0.0, 30.0, 0.03, 0.7, 0.4, "size: judgement, wide"),
    CampaignType.SEASONAL_SALE: Prior(0.92, 0.6, 0.0, 60.0, 0.01, 0.6, 2.0, "size: judgement"),
    CampaignType.CUSTOM: Prior(0.2, 0.6, 0.0, 30.0, 0.08, 1.0, 0.4, "nothing is known: judgement, widest"),
}

# Log-sd of what marketing declares. A peak is a number somebody worked out; a multiplier also leaves open
# what "usual" meant; an audience says little without its response rate. Judgements, to be scored by a later form.
PEAK_LOG_SD = 0.35
MULTIPLIER_LOG_SD = 0.4
AUDIENCE_LOG_SD = 1.2

# Log-sd between occurrences of one type on one shop, until several have been seen; judgement.
BETWEEN_LOG_SD = 0.3

# Log-sd of how far a shop's declarations are off on the whole, before any was scored; judgement.
BIAS_LOG_SD = 0.4
