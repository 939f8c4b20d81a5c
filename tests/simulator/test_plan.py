"""Plans: they fit VICIdial's columns, and repeat."""

import pytest

from simulator.plan import CampaignPlan, ClusterPlan


@pytest.mark.parametrize(("dialers", "agents"), [(1, 1), (6, 180), (26, 2_000), (27, 2_000), (40, 8_000), (40, 9_500)])
def test_every_alias_fits_its_column_and_uses_it(dialers: int, agents: int) -> None:
    plan = ClusterPlan(dialers=dialers, agents=agents)
    lengths = {len(agent.logins_list) for agent in plan.agent_plans}
    phones = {len(agent.phones) for agent in plan.agent_plans}
    assert max(lengths) <= 255
    assert phones == {dialers} or min(phones) >= 31


def test_an_agent_has_one_phone_a_dialer_and_every_login_is_one_phone() -> None:
    plan = ClusterPlan(dialers=30, agents=300, phones_per_alias=7)
    logins = [phone.login for agent in plan.agent_plans for phone in agent.phones]
    assert len(set(logins)) == len(logins) == 2_100
    assert all(len({phone.server_ip for phone in agent.phones}) == 7 for agent in plan.agent_plans)


def test_the_seed_alone_decides() -> None:
    assert ClusterPlan(seed=3).agent_plans == ClusterPlan(seed=3).agent_plans
    assert ClusterPlan(seed=3).agent_plans != ClusterPlan(seed=4).agent_plans


def test_addresses_follow_the_first_across_its_network() -> None:
    plan = ClusterPlan(dialers=3, first_ip="127.0.0.254")
    assert [dialer.server_ip for dialer in plan.dialer_plans] == ["127.0.0.254", "127.0.0.255", "127.0.1.0"]


def test_agents_are_dealt_out_to_the_campaigns() -> None:
    plan = ClusterPlan(agents=5, campaigns=(CampaignPlan("ONE"), CampaignPlan("TWO")))
    assert [agent.campaign.campaign_id for agent in plan.agent_plans] == ["ONE", "TWO", "ONE", "TWO", "ONE"]


@pytest.mark.parametrize("count", [0, 7])
def test_an_alias_cannot_have_more_phones_than_there_are_dialers(count: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 6 phones here .* not {count}"):
        ClusterPlan(dialers=6, phones_per_alias=count)
