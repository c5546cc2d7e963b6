// Hosts and requests for tests of the scheduler.
import { loadConfig } from "../../platform/config/config.ts"
import "../config.ts"
import { keptHardware } from "../guest-hardware/hardware.ts"
import type { ScheduleOptions } from "../schedule/config.ts"
import type { HostAggregate, HostRoom, HostState } from "../schedule/host-state.ts"
import type { ScheduleRequest } from "../schedule/request.ts"

const base = { dataDir: "", publicUrl: "", region: "", host: "" }

export function scheduleOptions(over: Partial<ScheduleOptions> = {}): ScheduleOptions {
  return { ...loadConfig({ env: {}, base: base as never }).compute.schedule, ...over }
}

export function room(capacity: number, used = 0): HostRoom {
  return { total: capacity, reserved: 0, capacity, used, maxUnit: capacity }
}

export function aggregate(metadata: Record<string, string>, id = 1): HostAggregate {
  return { id, name: `a${id}`, metadata }
}

export function hostState(name: string, over: Partial<HostState> = {}): HostState {
  return {
    name,
    providerId: `p-${name}`,
    isUp: true,
    isDisabled: false,
    zone: "nova",
    rooms: { VCPU: room(16), MEMORY_MB: room(1000), DISK_GB: room(100) },
    aggregates: [],
    failedBuilds: 0,
    description: {
      ...{ host: name, hypervisorType: "QEMU", hypervisorVersion: 7_002_000, hostIp: "192.0.2.7" },
      ...{ vcpus: 16, ramMib: 1000, diskGib: 100 },
      cpuInfo: {
        ...{ vendor: "GenuineIntel", model: "x", arch: "x86_64", features: ["avx", "sse"] },
        topology: { cores: 8, threads: 2, sockets: 1 },
      },
      abilities: {
        ...{ liveMigration: false, pause: true, suspend: true, hotplugVif: true, snapshot: true },
        accelerator: "kvm",
        metadata: false,
      },
    },
    instances: 0,
    ioOps: 0,
    physicalNetworks: null,
    traits: [],
    ...over,
  }
}

export function scheduleRequest(over: Partial<ScheduleRequest> = {}): ScheduleRequest {
  return {
    projectId: "p1",
    resources: { VCPU: 1, MEMORY_MB: 100, DISK_GB: 1 },
    flavor: { name: "small", extraSpecs: {} },
    image: null,
    zone: null,
    forcedHost: null,
    excludedHosts: [],
    requestedHost: null,
    runsOn: null,
    hints: {},
    sameHosts: null,
    differentHosts: [],
    group: null,
    physicalNetworks: [],
    volumeHosts: [],
    hardware: keptHardware({ vcpus: 1, ramMib: 100, extraSpecs: {} }, null),
    ...over,
  }
}
