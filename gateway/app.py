"""The composition root: builds the gateway from its configuration and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from drivers.device import Device, Reading, identity
from drivers.modbus.link import Link
from drivers.modbus.open import open_link
from gateway import logs
from gateway.buffer_gauge import BufferGauge
from gateway.carbon.metering.meter import Meter
from gateway.carbon.metering.undated import Undated
from gateway.clock import Anchor, Clock, Dating, SystemClock
from gateway.config import Config, read_password, read_token, read_trust
from gateway.config_file import MqttSection
from gateway.environment import Environment, read_environment
from gateway.ledger_desk import LedgerDesk
from gateway.ledger_view import LedgerView
from gateway.lessons import Lessons
from gateway.live import Live
from gateway.notify import Notifier
from gateway.poller import Poller
from gateway.receiver_time import ReceiverTime
from gateway.recorder import Recorder
from gateway.series import Channels, Series
from gateway.store import boots, lessons, registers
from gateway.store.database import Store
from gateway.store.delivery import StoreOutbox
from gateway.store.ledger import booked
from gateway.store.series import channels
from gateway.store.space import Space
from gateway.telemetry import Facts, topics
from gateway.view import View
from gateway.web.server import WebServer
from gateway.wiring import (
    books,
    factor_borders,
    keeping,
    manners,
    places,
    register_specs,
    series_points,
    transport_to_receiver,
    way_to_receiver,
)
from gateway.witness import boot_id, configuration, service
from sync.forwarder import Forwarder
from sync.live_lane import LiveLane
from sync.telemetry.address import parse_broker_url
from sync.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from sync.telemetry.broker import Broker

log = logging.getLogger("huxi.app")

READY_PATIENCE_S = 10.0
"""Devices that have not been tried by then do not keep the service from being ready."""
PULSE_S = 5.0


async def run(config: Config, config_path: Path) -> None:
    """Runs the gateway until SIGTERM or SIGINT.

    Raises, before anything is polled: ConfigError (token, password or certificate file), StoreError (data folder),
    StateError (stored registers), BindError (page).
    """
    environment = read_environment()
    logs.set_up(journal=environment.journal)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    token = read_token(config.sync) if config.sync else None
    broker = _broker(config.mqtt, config.gateway.id) if config.mqtt else None
    async with AsyncExitStack() as stack:
        parts = await _build(config, token, broker, stack)
        log.info("gateway started id=%s config=%s devices=%d", config.gateway.id, config_path, len(config.devices))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run) for run in parts.runs()]
            tasks.append(group.create_task(_pulse(parts, environment, stop)))
            await stop.wait()
            for task in tasks:
                task.cancel()
    log.info("gateway stopped id=%s", config.gateway.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What runs side by side."""

    view: View
    recorder: Recorder
    gauge: BufferGauge
    pollers: tuple[Poller, ...]
    forwarder: Forwarder | None
    telemetry: Telemetry | None
    receiver_time: ReceiverTime | None

    def runs(self) -> list[Coroutine[Any, Any, None]]:
        """One coroutine a part."""
        parts = [self.recorder, self.gauge, *self.pollers, self.forwarder, self.telemetry, self.receiver_time]
        return [part.run() for part in parts if part is not None]


async def _build(config: Config, token: str | None, broker: Broker | None, stack: AsyncExitStack) -> _Parts:
    """Opens the store first, then the page, then the links: a fault of one leaves nothing half-started."""
    clock = SystemClock()
    store = await stack.enter_async_context(Store.open(config.gateway.data_dir))
    meter = Meter(
        register_specs(config),
        config.carbon.interval_ms,
        partial(factor_borders, config),
    )
    meter.load(await store.read(registers.load_all))
    meter.advance(await store.read(booked.since_states))
    undated, dating = await _time(config, clock, store, meter)
    live_lane = LiveLane(config.sync.live_ms if config.sync else None)
    forwarder = _forwarder(config, token, store, live_lane, stack)
    live = Live(places(config))
    live.resume(meter.asleep(), clock.mono_ns())
    site_books = books(config)
    links = {
        section.name: open_link(section.name, section.url, manners(config, section.name)) for section in config.links
    }
    devices = {section.name: _devices(config, section.name, links[section.name]) for section in config.links}
    taught = Lessons((device, section.url) for section in config.links for device, _ in devices[section.name])
    taught.resume(await store.read(lessons.load_all))
    series = await _series(config, store)
    gauge = BufferGauge(store, clock)
    on_write = forwarder.wake if forwarder else lambda: None
    recorder = Recorder(
        meter=meter,
        undated=undated,
        store=store,
        dating=dating,
        clock=clock,
        books=site_books,
        interval_ms=config.carbon.interval_ms,
        checkpoint_ms=config.gateway.checkpoint_ms,
        identity=lambda reading: identity(config.profile_of(reading.device), reading),
        on_close=on_write,
        asleep=lambda: live.asleep(clock.mono_ns()),
        lessons=taught.texts,
        space=Space(config.gateway.data_dir),
        retention_ms=config.carbon.retention_ms if config.sync else None,
        series=series,
    )
    telemetry = None
    if config.mqtt and broker:
        facts = Facts(live=live, dating=dating, held=recorder.held, mono_ns=clock.mono_ns)
        told = topics(config.gateway.id, config.mqtt, facts)
        period_s = config.mqtt.period_ms / 1000
        telemetry = Telemetry(broker, told, url=config.mqtt.url, period_s=period_s, random=Random())
    view = View(
        config=config,
        started_ns=clock.mono_ns(),
        links=links,
        live_state=live,
        lessons=taught,
        clock=clock,
        dating=dating,
        store=store,
        ledger=LedgerView(store=store, factors=config.factors, zone=config.zone, lenses=config.carbon.lenses),
        desk=LedgerDesk(store=store, books=site_books, dating=dating, on_write=on_write),
        recorder=recorder,
        series=series,
        gauge=gauge,
        forwarder=forwarder,
        telemetry=telemetry,
    )
    live_lane.newest = view.live_line
    web = WebServer(view, config.gateway.data_dir / "api.sock", config.web.address)
    await stack.enter_async_context(web)
    for url in web.urls:
        log.info("page served url=%s", url)

    def on_reading(reading: Reading) -> None:
        live.take(reading)
        recorder.take(reading)

    pollers = []
    for name, link in links.items():
        await stack.enter_async_context(link)
        pollers.append(Poller(devices[name], clock=clock, on_reading=on_reading))
    return _Parts(
        view=view,
        recorder=recorder,
        gauge=gauge,
        pollers=tuple(pollers),
        forwarder=forwarder,
        telemetry=telemetry,
        receiver_time=_receiver_time(config, dating),
    )


def _receiver_time(config: Config, dating: Dating) -> ReceiverTime | None:
    if config.sync is None or config.sync.time_key_file is None:
        return None
    return ReceiverTime(way_to_receiver(config.sync), config.sync.time_key_file, dating)


def _broker(mqtt: MqttSection, gateway: str) -> Broker:
    from sync.telemetry.broker import Broker  # the MQTT library: memory that not every site needs

    return Broker(
        parse_broker_url(mqtt.url),
        identifier=f"huxi-{gateway}",
        username=mqtt.username,
        password=read_password(mqtt),
        tls=read_trust(mqtt),
    )


async def _time(config: Config, clock: Clock, store: Store, meter: Meter) -> tuple[Undated, Dating]:
    """What earlier boots left without a date, and who dates this one."""
    boot = boot_id()
    undated = Undated(register_specs(config), config.carbon.interval_ms, boot)
    for fault in undated.load(await store.read(boots.load)):
        log.error("undated readings cannot be read %s", fault)
    witnesses = [service(clock)]
    if config.gateway.clock == "system":
        witnesses.append(configuration(clock, meter.newest_ms))
    dated = await store.read(boots.dated, boot)
    return undated, Dating(clock, witnesses, dated and Anchor(offset_ms=dated.offset_ms, source=dated.source))


async def _series(config: Config, store: Store) -> Series:
    devices = {}
    for device, points in series_points(config).items():
        numbers = await store.run(channels.number_of, [name for _, name in points])
        devices[device] = Channels([index for index, _ in points], numbers)
    return Series(devices, keeping(config))


def _forwarder(
    config: Config, token: str | None, store: Store, live_lane: LiveLane, stack: AsyncExitStack
) -> Forwarder | None:
    section = config.sync
    if section is None or token is None:
        return None
    transport = transport_to_receiver(section, token)
    stack.push_async_callback(transport.aclose)
    return Forwarder(
        StoreOutbox(store, config.gateway.id),
        transport,
        random=Random(),
        bytes_per_day=section.budget_kB_per_day and section.budget_kB_per_day * 1000,
        ledger_every_s=(section.ledger_every_ms or 0) / 1000,
        live=live_lane,
    )


def _devices(config: Config, link_name: str, link: Link) -> list[tuple[Device, int]]:
    return [
        (
            Device(name=device.name, unit=config.unit(device), profile=config.profiles[device.profile], link=link),
            device.period_ms,
        )
        for device in config.devices
        if device.link == link_name
    ]


async def _pulse(parts: _Parts, environment: Environment, stop: asyncio.Event) -> None:
    """Says ready once everything has been tried and stored, then feeds the watchdog while all parts move."""
    notifier = Notifier(environment.notify_socket)
    try:
        try:
            async with asyncio.timeout(READY_PATIENCE_S):
                for poller in parts.pollers:
                    await poller.first_round.wait()
        except TimeoutError:
            log.warning("devices not tried in time patience_s=%g", READY_PATIENCE_S)
        await parts.recorder.round()
        notifier.ready(parts.view.line())
        every_s = min(PULSE_S, (environment.watchdog_s or PULSE_S) / 3)
        seen = -1
        while True:
            ticks = parts.recorder.ticks
            moves = ticks != seen or parts.recorder.writing
            # A watchdog that is not fed restarts us, which is what mends a damaged database.
            if moves and not parts.recorder.damaged and not any(poller.stuck for poller in parts.pollers):
                notifier.alive()
            seen = ticks
            notifier.status(parts.view.line())
            await asyncio.sleep(every_s)
    finally:
        if stop.is_set():
            notifier.stopping()
        notifier.close()
