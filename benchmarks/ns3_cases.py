"""Run transfers in ns-3, packet by packet, and write when they arrive: the fixtures of tests/validation.

ns-3 is no dependency of edgesim: it takes 650 MB and 20 s to load. In an environment of its own:

    pip install ns3==3.44.post0
    python benchmarks/ns3_cases.py tests/validation/ns3_figures.json [staggered]

With a name behind it only the cases of that name are made anew.

The wired cases: n senders with fast links of no latency to a router, one link from there to the receiver, message by message
in packets of 1472 byte (UDP, paced at the rate of the slow link) or as TCP (segments of 1448 byte, first window 10, smallest
retransmission timeout 1 s). The staggered cases: the same with UDP messages of different sizes that begin one after another, at 25 Mbit/s and 30 ms. The cell: n stations 5 m from an access point, 802.11n at 5 GHz, 20 MHz, one UDP message each to
the access point, sent as fast as it is taken; addresses are known beforehand, so no time goes into resolving them. The same at other
rates, and with 802.11ac (80 MHz, one stream): the cases behind the numbers of `wifi:` (benchmarks/wifi.py).
"""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path
from typing import Any

from ns import ns

PAYLOAD_BYTE = 1472
WIRED = [
    (size_byte, rate, latency_s, n)
    for size_byte, n in ((10_000, 1), (100_000, 1), (1_000_000, 1), (10_000, 2), (1_000_000, 2), (1_000_000, 8))
    for rate, latency_s in ((10e6, 0.005), (50e6, 0.002), (2e6, 0.02))
]
STAGGERED = [
    [(1_212_165, 0.0), (23_576, 0.155)],
    [(1_212_165, 0.0), (300_000, 0.1), (23_576, 0.155)],
    *(
        [(int(10 ** draws.uniform(3.3, 6.1)), round(draws.uniform(0.0, 0.4), 4)) for _ in range(draws.randint(2, 6))]
        for draws in map(random.Random, range(10))
    ),
]
"""Sizes in byte and beginnings in s: a small message behind a large one, and others at random."""
CELL = [(size_byte, n) for size_byte in (10_000, 30_000, 100_000) for n in (1, 2, 4, 8, 16)]

STANDARDS = {
    "802.11n": ("{36, 20, BAND_5GHZ, 0}", ns.WIFI_STANDARD_80211n, "HtMcs", "HtMcs0"),
    "802.11ac": ("{42, 80, BAND_5GHZ, 0}", ns.WIFI_STANDARD_80211ac, "VhtMcs", "VhtMcs0"),
}
"""Channel, standard, name of the rates, rate of control frames."""
RATES = [("802.11n", mcs) for mcs in (0, 3, 5, 7)] + [("802.11ac", mcs) for mcs in (0, 4, 7, 9)]
RATE_SIZES = [(size_byte, n) for size_byte in (10_000, 100_000) for n in (1, 8)]

ns.cppyy.cppdef("""
#include <map>
#include <vector>
namespace edgesim {
using namespace ns3;
std::map<uint32_t, uint64_t> received;
std::map<uint32_t, double> last;
std::vector<EventId> events;
void Reset() { received.clear(); last.clear(); events.clear(); }
void OnRx(uint32_t flow, Ptr<const Packet> packet, const Address&) {
  received[flow] += packet->GetSize();
  last[flow] = Simulator::Now().GetSeconds();
}
void Listen(Ptr<Application> sink, uint32_t flow) {
  sink->TraceConnectWithoutContext("Rx", MakeBoundCallback(&OnRx, flow));
}
struct Sender {
  Ptr<Socket> socket; uint64_t left; uint32_t payload; double gap;
};
void Step(Sender* s) {
  while (s->left > 0) {
    uint32_t size = s->left < s->payload ? s->left : s->payload;
    if (s->socket->Send(Create<Packet>(size)) < 0) { Simulator::Schedule(MicroSeconds(100), &Step, s); return; }
    s->left -= size;
    if (s->gap > 0) { Simulator::Schedule(Seconds(s->gap), &Step, s); return; }
  }
}
void SendUdp(Ptr<Node> node, Ipv4Address to, uint16_t port, uint64_t size, uint32_t payload, double gap, double at) {
  Sender* s = new Sender();
  s->socket = Socket::CreateSocket(node, UdpSocketFactory::GetTypeId());
  s->socket->Connect(InetSocketAddress(to, port));
  s->left = size; s->payload = payload; s->gap = gap;
  Simulator::Schedule(Seconds(at), &Step, s);
}
}
""")
tools = ns.cppyy.gbl.edgesim


def sink(node: Any, kind: str, flow: int) -> None:
    """Put a receiver of one flow on a node."""
    address = ns.InetSocketAddress(ns.Ipv4Address.GetAny(), 5000 + flow).ConvertTo()
    application = ns.PacketSinkHelper(f"ns3::{kind}SocketFactory", address).Install(node).Get(0)
    application.SetStartTime(ns.Seconds(0))
    tools.Listen(application, flow)


def finish(sizes_byte: list[int], start_s: float) -> list[float]:
    """Run, and return when each flow has all its bytes, in s from the start; 0 for one that has not."""
    ns.Simulator.Stop(ns.Seconds(start_s + 300))
    ns.Simulator.Run()
    arrivals = [
        tools.last[flow] - start_s if tools.received[flow] == size_byte else 0.0
        for flow, size_byte in enumerate(sizes_byte)
    ]
    ns.Simulator.Destroy()
    tools.Reset()
    return arrivals


def wired(kind: str, messages: list[tuple[int, float]], rate: float, latency_s: float) -> list[float]:
    """Return the arrivals over one link of messages, given their sizes in byte and when they begin, in s; each has a sender of its own."""
    n = len(messages)
    ns.Config.SetDefault("ns3::TcpSocket::SegmentSize", ns.UintegerValue(1448))
    ns.Config.SetDefault("ns3::TcpSocket::InitialCwnd", ns.UintegerValue(10))
    ns.Config.SetDefault("ns3::TcpSocket::SndBufSize", ns.UintegerValue(1 << 24))
    ns.Config.SetDefault("ns3::TcpSocket::RcvBufSize", ns.UintegerValue(1 << 24))
    nodes = ns.NodeContainer()
    nodes.Create(n + 2)
    stack = ns.InternetStackHelper()
    stack.Install(nodes)
    addresses = ns.Ipv4AddressHelper()
    slow = ns.PointToPointHelper()
    slow.SetDeviceAttribute("DataRate", ns.StringValue(f"{int(rate)}bps"))
    slow.SetChannelAttribute("Delay", ns.StringValue(f"{int(latency_s * 1e6)}us"))
    slow.SetQueue("ns3::DropTailQueue", "MaxSize", ns.StringValue("100000p"))
    fast = ns.PointToPointHelper()
    fast.SetDeviceAttribute("DataRate", ns.StringValue("100Gbps"))
    fast.SetChannelAttribute("Delay", ns.StringValue("0us"))
    addresses.SetBase(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    bottleneck = slow.Install(nodes.Get(n), nodes.Get(n + 1))
    to = addresses.Assign(bottleneck).GetAddress(1)
    for flow in range(n):
        addresses.SetBase(ns.Ipv4Address(f"10.1.{flow}.0"), ns.Ipv4Mask("255.255.255.0"))
        addresses.Assign(fast.Install(nodes.Get(flow), nodes.Get(n)))
    ns.TrafficControlHelper().Uninstall(bottleneck)
    ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
    for flow, (size_byte, start_s) in enumerate(messages):
        sink(nodes.Get(n + 1), kind, flow)
        if kind == "Udp":
            gap_s = (PAYLOAD_BYTE + 30) * 8 / rate
            tools.SendUdp(nodes.Get(flow), to, 5000 + flow, size_byte, PAYLOAD_BYTE, gap_s, 1.0 + start_s)
        else:
            source = ns.BulkSendHelper("ns3::TcpSocketFactory", ns.InetSocketAddress(to, 5000 + flow).ConvertTo())
            source.SetAttribute("MaxBytes", ns.UintegerValue(size_byte))
            source.SetAttribute("SendSize", ns.UintegerValue(1448))
            source.Install(nodes.Get(flow)).Start(ns.Seconds(1.0 + start_s))
    return finish([size_byte for size_byte, _ in messages], 1.0)


def cell(size_byte: int, n: int, seed: int, standard: str = "802.11n", mcs: int = 7) -> list[float]:
    """Return the arrivals of one message of each of n stations at their access point."""
    channel_settings, kind, mode, control = STANDARDS[standard]
    ns.RngSeedManager.SetSeed(seed)
    stations, access = ns.NodeContainer(), ns.NodeContainer()
    stations.Create(n)
    access.Create(1)
    channel = ns.YansWifiChannelHelper.Default()
    phy = ns.YansWifiPhyHelper()
    phy.SetChannel(channel.Create())
    phy.Set("ChannelSettings", ns.StringValue(channel_settings))
    wifi = ns.WifiHelper()
    wifi.SetStandard(kind)
    wifi.SetRemoteStationManager(
        "ns3::ConstantRateWifiManager",
        "DataMode",
        ns.StringValue(f"{mode}{mcs}"),
        "ControlMode",
        ns.StringValue(control),
    )
    mac = ns.WifiMacHelper()
    ssid = ns.SsidValue(ns.Ssid("cell"))
    mac.SetType("ns3::StaWifiMac", "Ssid", ssid)
    devices = wifi.Install(phy, mac, stations)
    mac.SetType("ns3::ApWifiMac", "Ssid", ssid)
    access_devices = wifi.Install(phy, mac, access)
    positions = ns.ListPositionAllocator()
    for station in range(n):
        angle = 2 * math.pi * station / n
        positions.Add(ns.Vector(5 * math.cos(angle), 5 * math.sin(angle), 0))
    positions.Add(ns.Vector(0, 0, 0))
    mobility = ns.MobilityHelper()
    mobility.SetPositionAllocator(positions)
    mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
    mobility.Install(stations)
    mobility.Install(access)
    stack = ns.InternetStackHelper()
    stack.Install(stations)
    stack.Install(access)
    addresses = ns.Ipv4AddressHelper()
    addresses.SetBase(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    addresses.Assign(devices)
    to = addresses.Assign(access_devices).GetAddress(0)
    ns.Config.SetDefault("ns3::ArpCache::PendingQueueSize", ns.UintegerValue(1000))
    for flow in range(n):
        sink(access.Get(0), "Udp", flow)
        tools.SendUdp(stations.Get(flow), to, 5000 + flow, size_byte, PAYLOAD_BYTE, 0.0, 3.0)
    ns.Simulator.Stop(ns.Seconds(2.5))  # joining the cell empties the tables
    ns.Simulator.Run()
    ns.NeighborCacheHelper().PopulateNeighborCache()
    return finish([size_byte] * n, 3.0)


def wired_figures() -> list[dict[str, Any]]:
    found = []
    for size_byte, rate, latency_s, n in WIRED:
        case = {"size_byte": size_byte, "bandwidth_bit_per_s": rate, "latency_s": latency_s, "n": n}
        for kind in ("Udp", "Tcp"):
            case[kind.lower()] = wired(kind, [(size_byte, 0.0)] * n, rate, latency_s)
        found.append(case)
        print(case, flush=True)
    return found


def staggered_figures() -> list[dict[str, Any]]:
    found = []
    for messages in STAGGERED:
        case: dict[str, Any] = {"bandwidth_bit_per_s": 25e6, "latency_s": 0.03}
        case |= {"size_byte": [size for size, _ in messages], "start_s": [start for _, start in messages]}
        case["udp"] = wired("Udp", messages, 25e6, 0.03)
        found.append(case)
        print(case, flush=True)
    return found


def cell_figures() -> list[dict[str, Any]]:
    found = []
    for size_byte, n in CELL:
        runs = [cell(size_byte, n, seed) for seed in range(1, 11)]
        case = {"size_byte": size_byte, "n": n, "last_s": [max(run) for run in runs]}
        found.append(case)
        print(case, [run.count(0.0) for run in runs], flush=True)
    return found


def rate_figures() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for standard, mcs in RATES:
        for size_byte, n in RATE_SIZES:
            runs = [cell(size_byte, n, seed, standard, mcs) for seed in range(1, 6)]
            last_s = [round(max(run), 9) for run in runs if min(run) > 0.0]  # after 0.5 s a queue gives packets up
            case = {"standard": standard, "mcs": mcs, "size_byte": size_byte, "n": n, "last_s": last_s}
            found += [case] if last_s else []
            print(case, flush=True)
    return found


FIGURES = {"wired": wired_figures, "cell": cell_figures, "rates": rate_figures, "staggered": staggered_figures}


def main() -> None:
    path, names = Path(sys.argv[1]), sys.argv[2:] or list(FIGURES)
    figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    figures |= {"ns-3": "3.44", **{name: FIGURES[name]() for name in names}}
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
