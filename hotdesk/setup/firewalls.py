"""The rules that let web servers and people in, for firewalld, ufw and nftables. Pure.

A rule is for one source each, so that an address that comes later is one more rule. firewalld and ufw keep theirs over
a restart; nftables keeps what stands in its own file, which is the administrator's.
"""

from hotdesk.setup.facts import Firewall
from hotdesk.setup.steps import Commands, State, Step

NFT_NOTE = "hotdesk"
"""The remark by which a rule of nftables is found again."""
QUESTION = "let them in through the firewall"


def opening(firewall: Firewall, port: int, source: str) -> Step | None:
    """Return the step that lets a source in; None: no firewall is at work, or none that is known."""
    match firewall.kind:
        case "firewalld":
            return _step(firewall, source, port, _firewalld(firewall, port, source))
        case "ufw":
            return _step(firewall, source, port, _ufw(port, source))
        case "nftables":
            return _step(firewall, source, port, _nftables(firewall, port, source))
        case _:
            return None


def _step(firewall: Firewall, source: str, port: int, made: tuple[Commands, str]) -> Step:
    commands, listed = made
    kept = "" if firewall.kind != "nftables" else ", until the next restart: put it into nftables' own file to keep it"
    return Step(
        what=f"let {source} in to TCP {port}, by {firewall.kind}{kept}",
        back="the rule is taken out",
        act=commands,
        state=State.DONE if listed in firewall.rules else State.TO_DO,
        asks=QUESTION,
    )


def _firewalld(firewall: Firewall, port: int, source: str) -> tuple[Commands, str]:
    family = "ipv6" if ":" in source else "ipv4"
    rule = f'rule family="{family}" source address="{source}" port port="{port}" protocol="tcp" accept'
    zone = (f"--zone={firewall.zone}",) if firewall.zone else ()
    # both, since a reload would drop what others have set for now only
    kinds: tuple[tuple[str, ...], ...] = ((), ("--permanent",))
    return Commands(
        run=tuple(("firewall-cmd", *kind, *zone, f"--add-rich-rule={rule}") for kind in kinds),
        back=tuple(("firewall-cmd", *kind, *zone, f"--remove-rich-rule={rule}") for kind in kinds),
    ), rule


def _ufw(port: int, source: str) -> tuple[Commands, str]:
    rule = ("from", source, "to", "any", "port", str(port), "proto", "tcp")
    made = Commands(run=(("ufw", "allow", *rule),), back=(("ufw", "delete", "allow", *rule),))
    return made, " ".join(("ufw allow", *rule))


def _nftables(firewall: Firewall, port: int, source: str) -> tuple[Commands, str]:
    family = "ip6" if ":" in source else "ip"
    note = f"{NFT_NOTE} {port} {source}"
    matches = (family, "saddr", source, "tcp", "dport", str(port), "accept", "comment", f'"{note}"')
    chain = tuple(firewall.zone.split())
    # nft deletes by handle only
    delete = (
        f"nft -a list chain {firewall.zone} | sed -n 's|.*comment \"{note}\" # handle ||p'"
        f" | xargs -rn1 nft delete rule {firewall.zone} handle"
    )
    return Commands(run=(("nft", "insert", "rule", *chain, *matches),), back=(("sh", "-c", delete),)), f'"{note}"'
