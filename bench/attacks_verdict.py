"""What is made of the figures of bench/attacks.py: bounds, verdicts, lines; not run by itself."""

import math
from dataclasses import dataclass, field

from attacks_innocents import PATIENCE, REQUESTS, STREAMS, WELL_AFTER

SERVED_WITHIN = 10.0


def percentile(values: list, share: float) -> float:
    """Seconds. Infinite where so many failed."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else math.nan


def figures(result: dict, since: float, until: float) -> dict:
    """Of what began between the two moments."""
    told = {}
    for kind in [*REQUESTS, *STREAMS]:
        samples = [(took, fault) for its, begun, took, fault in result["samples"] if its == kind and since <= begun <= until]
        took = [math.inf if fault else took for took, fault in samples]
        faults = {}
        for _, fault in samples:
            if fault:
                faults[fault] = faults.get(fault, 0) + 1
        told[kind] = {"asked": len(samples), "served": sum(value <= SERVED_WITHIN for value in took),
                      "p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "most": max(took, default=math.nan),
                      "faults": faults}
    for kind in STREAMS:
        gaps = [gap for its, at, gap in result["gaps"] if its == kind and since <= at <= until + PATIENCE
                and at - gap <= until]
        told[kind] |= {"gap_p99": percentile(gaps, 0.99), "gap": max(gaps, default=math.nan)}
    told["own_lag"] = max((lag for at, lag in result["lags"] if since <= at <= until), default=math.nan)
    return told


@dataclass
class Check:
    """One figure and its bound."""

    what: str
    value: float
    bound: float
    is_least: bool = False
    unit: str = "ms"

    @property
    def holds(self) -> bool:
        return self.value >= self.bound if self.is_least else self.value <= self.bound

    def __str__(self) -> str:
        return f"{'' if self.holds else '! '}{self.what} {shown(self.value, self.unit)} ({'≥' if self.is_least else '≤'} {self.bound:,g})"


def shown(value: float, unit: str = "ms") -> str:
    if value == math.inf:
        return "never" if unit == "s" else "failed"
    return "none" if math.isnan(value) else f"{value:,.{1 if unit == '%' else 0}f} {unit}".strip()


@dataclass
class Outcome:
    """One attack, its figures and what they are held to."""

    name: str
    quiet: dict
    during: dict
    attack: dict
    seconds: float
    well_after: float | None
    memory_mib: dict
    deaths: int
    gateway_ended: str | None
    store: dict | None
    checks: list = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(check.holds for check in self.checks)


def share(*parts: dict) -> float:
    asked = sum(part["asked"] for part in parts)
    return 100 * sum(part["served"] for part in parts) / asked if asked else 0.0


def checks(outcome: Outcome, options) -> list:
    during, name = outcome.during, outcome.name
    innocents = [during[kind] for kind in ("agent", "model", *STREAMS)]
    every_probe = Check("health at most", during["health"]["most"] * 1000, 1000)
    served = Check("innocents served", share(*innocents), 99, True, "%")
    memory = Check("memory grew by", outcome.memory_mib["peak"] - outcome.memory_mib["idle"], options.memory_mib, unit="MiB")
    if name.startswith("slots_"):
        found = [every_probe, served]
        if name == "slots_streams":
            answers = outcome.attack["answers"]
            good = sum(count for what, count in answers.items() if what in ("200", "held: 200"))
            found.append(Check("its own served", 100 * good / max(1, sum(answers.values())), 99, True, "%"))
    elif name == "random_app_keys":
        found = [every_probe, served, Check("keys left in the store", outcome.store["keys_left"], options.store_keys, unit="")]
    elif name in ("many_bodies", "slow_readers"):
        found = [memory, every_probe, Check("agent API served", share(during["agent"]), 99, True, "%")]
    else:
        found = [Check("health p99", during["health"]["p99"] * 1000, 100), Check("stream gap", during["model stream"]["gap"] * 1000, 100),
                 Check("new calls p99", during["model"]["p99"] * 1000, 200), memory]
    well = math.inf if outcome.well_after is None else outcome.well_after
    found.append(Check("well after", well, WELL_AFTER, unit="s"))
    found.append(Check("instances died", outcome.deaths, 0, unit=""))
    if outcome.gateway_ended:
        found.append(Check(f"the gateway ended, {outcome.gateway_ended}:", 1, 0, unit=""))
    return found


def line(outcome: Outcome) -> str:
    during, quiet, memory = outcome.during, outcome.quiet, outcome.memory_mib

    def brief(values: dict) -> str:
        gaps = max((values[kind]["gap"] for kind in STREAMS if not math.isnan(values[kind]["gap"])), default=math.nan)
        requests = [values[kind] for kind in ("agent", "model")]
        faults = {}
        for kind in [*REQUESTS, *STREAMS]:
            for fault, count in values[kind]["faults"].items():
                faults[fault] = faults.get(fault, 0) + count
        told = "".join(f", {count} x {fault}" for fault, count in sorted(faults.items(), key=lambda item: -item[1])[:4])
        slowest = max(part["p99"] for part in requests)
        return (f"health p99 {shown(values['health']['p99'] * 1000)}, innocents p99 {shown(slowest * 1000)} and "
                f"{share(*requests):.1f} % served, stream gap {shown(gaps * 1000)}, own lag {shown(values['own_lag'] * 1000)}{told}")

    answers = ", ".join(f"{count} x {what}" for what, count in sorted(outcome.attack["answers"].items(), key=lambda item: -item[1])[:6])
    store = f"\n     store: {outcome.store['keys_at_end']:,} keys and {outcome.store['mib_at_end']:.1f} MiB more at its end, " \
            f"{outcome.store['keys_left']:,} and {outcome.store['mib_left']:.1f} MiB after 5 s" if outcome.store else ""
    return (f"{'PASS' if outcome.passed else 'FAIL'} {outcome.name}: " + "; ".join(map(str, outcome.checks))
            + f"\n     during, {outcome.seconds:.0f} s: {brief(during)}\n     quiet: {brief(quiet)}"
            f"\n     memory: {memory['idle']:.0f} MiB before, {memory['peak']:.0f} at most, {memory['after']:.0f} after"
            f"; attack: {outcome.attack['opened']} begun, {outcome.attack['held_at_most']} held at once, answers {answers or 'none'}{store}")


def as_json(outcome: Outcome) -> dict:
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    told = {key: plain(value) for key, value in vars(outcome).items() if key != "checks"}
    bounds = [plain(vars(check) | {"holds": check.holds}) for check in outcome.checks]
    return told | {"passed": outcome.passed, "checks": bounds}
