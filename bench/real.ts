// A real cloud: QEMU and OVN. How long it takes to start, and a machine from the request to its ACTIVE state and to
// ssh on its floating IP. Turn by turn with it, the same machine by the bare QEMU: the ratio is what the cloud adds.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { buildGuestImage } from "../guest/build.ts"
import { guestCacheDir } from "../server/src/launch/guest-image.ts"
import { enginePackages, installPackages } from "../server/src/launch/packages.ts"
import {
  type BareNetwork,
  bootBare,
  makeBareNetwork,
  makeConfigDrive,
  type Recipe,
  recipeOf,
} from "./bare-machine.ts"
import type { BootTimes } from "./boot.ts"
import { logIn } from "./client.ts"
import { CloudMachines } from "./cloud-machines.ts"
import type { Held } from "./held.ts"
import { makeNamespace, runInside } from "./namespace.ts"
import { type Figure, median, type Report } from "./report.ts"
import { makeKey } from "./ssh.ts"
import { measureStart } from "./start.ts"

/** In a network namespace, which this process must be in to reach the machines: so in a process of its own. */
export async function measureRealApart(
  report: Report,
  held: Held,
  options: { repeat: number },
): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("the part real needs root: it makes networks and machines")
  const own = held.scope()
  await prepareHost()
  const namespace = await makeNamespace(own)
  const printed = await runInside(own, namespace, ["--repeat", String(options.repeat)])
  const figures: Figure[] = JSON.parse(printed)
  report.figures.push(...figures)
  await own[Symbol.asyncDispose]()
}

/** Before the namespace, from where no package can be fetched. */
async function prepareHost(): Promise<void> {
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  const client = { name: "openssh-client", why: "logs into machines" }
  await installPackages([...Object.values(enginePackages).flat(), client], { say, isYes: true })
  await buildGuestImage({ outputDir: guestCacheDir(), log: say })
}

export async function measureReal(report: Report, held: Held, options: { repeat: number }): Promise<void> {
  const { repeat } = options
  const kind = { hypervisor: "qemu", network: "ovn" } as const
  const cloud = await measureStart(report, held, { ...kind, repeat })
  let directory = ""
  held.defer(() => directory && rmSync(directory, { recursive: true, force: true }))
  directory = mkdtempSync(join(tmpdir(), "kumoi-bench-bare-"))
  const key = await makeKey(directory)
  const machines = await CloudMachines.prepare(
    await logIn(cloud.url, "demo", cloud.passwords.demo, "demo"),
    key,
  )
  const network: BareNetwork = await makeBareNetwork(held)
  const configDrive = await makeConfigDrive(directory, network, key)
  const ofCloud: BootTimes[] = []
  const ofBare: BootTimes[] = []
  const first = await machines.boot("first")
  // What the cloud has made of image and flavor is what the bare machine gets.
  const recipe = await recipeOf(first.serverId)
  await machines.remove(first.serverId)
  for (let i = 0; i < repeat; i++) {
    const { times, serverId } = await machines.boot(`vm${i}`)
    await machines.remove(serverId)
    ofCloud.push(times)
    ofBare.push(await bootBare(held, { directory, recipe, network, configDrive, key }))
  }
  noteBoots(report, { first: first.times, ofCloud, ofBare, recipe })
}

interface Boots {
  first: BootTimes
  ofCloud: BootTimes[]
  ofBare: BootTimes[]
  recipe: Recipe
}

function noteBoots(report: Report, { first, ofCloud, ofBare, recipe }: Boots): void {
  const detail = `qemu-system-x86_64 ${recipe.options.join(" ")} … ${recipe.imageFile}`
  const seconds = (all: BootTimes[], point: keyof BootTimes) =>
    all.map((t) => (t[point] ?? Number.NaN) / 1000)
  const firstOne = (point: keyof BootTimes) => `the first one: ${((first[point] ?? 0) / 1000).toFixed(2)} s`
  report.addRuns("server create to ACTIVE", seconds(ofCloud, "activeMs"), "s", { note: firstOne("activeMs") })
  const ratios = (what: string, point: keyof BootTimes) => {
    const ratio = (of: (values: number[]) => number) =>
      of(seconds(ofCloud, point)) / of(seconds(ofBare, point))
    report.add(`Kumoi against bare QEMU, ${what}`, [
      { name: "of medians", value: ratio(median), unit: "x" },
      { name: "of the best", value: ratio((values) => Math.min(...values)), unit: "x" },
    ])
  }
  const points = { readyMs: "its ready line on the console", sshMs: "ssh hostname" } as const
  for (const [point, name] of Object.entries(points) as ["readyMs" | "sshMs", string][]) {
    const where = point === "sshMs" ? " on the floating IP" : ""
    report.addRuns(`server create to ${name}${where}`, seconds(ofCloud, point), "s", {
      note: firstOne(point),
    })
    report.addRuns(`bare QEMU to ${name}`, seconds(ofBare, point), "s", { detail })
    ratios(`to ${name}`, point)
  }
  report.addRuns("processor time of the server's QEMU until then", seconds(ofCloud, "qemuMs"), "s")
  report.addRuns("processor time of the bare QEMU until then", seconds(ofBare, "qemuMs"), "s")
  ratios("processor time of QEMU", "qemuMs")
}
