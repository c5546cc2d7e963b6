// What this host has, from the kernel itself.
import { readFileSync } from "node:fs"
import { statfs } from "node:fs/promises"
import { arch, loadavg, uptime } from "node:os"
import type { HostDescription } from "../protocol.ts"

const gib = 1024 ** 3

export async function readHostFacts(
  dataDir: string,
): Promise<Pick<HostDescription, "vcpus" | "ramMib" | "diskGib" | "cpuInfo">> {
  const disk = await statfs(dataDir)
  const cpuInfo = parseCpuInfo(readFileSync("/proc/cpuinfo", "utf8"))
  return {
    vcpus: cpuInfo.count,
    ramMib: parseMemTotalMib(readFileSync("/proc/meminfo", "utf8")),
    diskGib: Math.floor((disk.blocks * disk.bsize) / gib),
    cpuInfo: cpuInfo.info,
  }
}

/** As uptime(1) prints it; nobody is logged in, as far as the cloud knows. */
export function uptimeLine(now: Date, upSeconds = uptime(), load: readonly number[] = loadavg()): string {
  const minutes = Math.floor(upSeconds / 60)
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60]
  const long = days > 0 ? `${days} day${days === 1 ? "" : "s"}, ` : ""
  const short = hours > 0 ? `${String(hours).padStart(2)}:${String(rest).padStart(2, "0")}` : `${rest} min`
  const loads = load.map((value) => value.toFixed(2)).join(", ")
  return ` ${now.toISOString().slice(11, 19)} up ${long}${short},  0 users,  load average: ${loads}`
}

export function parseMemTotalMib(text: string): number {
  return Math.floor(Number(/^MemTotal:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024)
}

export function parseCpuInfo(text: string): { count: number; info: HostDescription["cpuInfo"] } {
  const blocks = text
    .split(/\n\s*\n/)
    .filter((block) => /^processor/m.test(block))
    .map(
      (block) =>
        new Map(
          block.split("\n").map((line) => {
            const [key = "", ...rest] = line.split(":")
            return [key.trim(), rest.join(":").trim()] as const
          }),
        ),
    )
  const first = blocks[0]
  const count = Math.max(1, blocks.length)
  const sockets = new Set(blocks.map((b) => b.get("physical id") ?? "0")).size || 1
  const cores = Number(first?.get("cpu cores") ?? 0) || Math.ceil(count / sockets)
  return {
    count,
    info: {
      vendor: vendorNames[first?.get("vendor_id") ?? ""] ?? first?.get("vendor_id") ?? "unknown",
      model: first?.get("model name") ?? "unknown",
      arch: arch() === "x64" ? "x86_64" : arch(),
      topology: { sockets, cores, threads: Math.max(1, Math.round(count / (sockets * cores))) },
      features: (first?.get("flags") ?? "").split(" ").filter((flag) => flag !== ""),
    },
  }
}

/** As libvirt names them. */
const vendorNames: Record<string, string> = { GenuineIntel: "Intel", AuthenticAMD: "AMD" }
