"""Our own metrics, in Prometheus's format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

FLOOR = Gauge(
    "forerun_tier_floor_replicas", "Floor that stands", ["namespace", "storefront", "tier"], registry=REGISTRY
)
READY = Gauge("forerun_tier_ready_replicas", "Ready replicas", ["namespace", "storefront", "tier"], registry=REGISTRY)
DEMAND = Gauge("forerun_demand_rps", "Demand at the door", ["namespace", "storefront"], registry=REGISTRY)
FLOOR_WRITES = Counter(
    "forerun_floor_writes_total", "Writes of floors that the API server accepted", ["direction"], registry=REGISTRY
)
HOLDS = Counter("forerun_holds_total", "Decisions not to act", ["reason"], registry=REGISTRY)
LATENESS = Histogram(
    "forerun_step_lateness_seconds",
    "From the time a step was due until its floor was written",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
    registry=REGISTRY,
)
LOOP_LAG = Histogram(
    "forerun_loop_lag_seconds",
    "How late the event loop runs",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
    registry=REGISTRY,
)
LOOP_STALLS = Counter(
    "forerun_loop_stalls_total", "Times that the event loop stood still for a second or more", registry=REGISTRY
)
LEADER = Gauge("forerun_leader", "1 where this instance leads", registry=REGISTRY)
SILENT_WATCHES = Counter(
    "forerun_silent_watches_total", "Objects that a resync found newer than the watch", ["kind"], registry=REGISTRY
)
WORKER_RESTARTS = Gauge("forerun_forecast_worker_restarts", "Restarts of the forecast worker", registry=REGISTRY)
EVENTS_DROPPED = Counter("forerun_events_dropped_total", "Events not posted: queue full", registry=REGISTRY)
LEDGER_REGRESSIONS = Counter(
    "forerun_ledger_regressions_total", "Ledgers that were older than their mirror on the target", registry=REGISTRY
)
