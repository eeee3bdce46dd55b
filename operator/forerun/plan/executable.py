"""Whose plan is carried out, and whose is only shown."""

from forerun.domain.campaign import Campaign, Mode


def is_executable(campaign: Campaign, approved: frozenset[tuple[str, int]]) -> bool:
    """Automatic, or approved by someone in the generation as it stands; never Preview, never suspended."""
    if campaign.suspend or campaign.mode is Mode.PREVIEW:
        return False
    return campaign.mode is Mode.AUTOMATIC or is_approved(campaign, approved)


def is_approved(campaign: Campaign, approved: frozenset[tuple[str, int]]) -> bool:
    return (campaign.key.name, campaign.generation) in approved
