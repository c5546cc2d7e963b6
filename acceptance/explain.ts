// What is needed to understand, afterwards, why a guest did not answer: printed by a test that gave up on it, since the
// cloud is removed at its end.
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { processesOf, type TestCloud } from "./cloud.ts"

/** `work`'s result; when it fails, first prints everything that is known of the guest and of the way to it. */
export async function explained<T>(
  cloud: TestCloud,
  guest: { serverId: string; address: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    process.stdout.write(await explain(cloud, guest))
    throw error
  }
}

async function explain(
  cloud: TestCloud,
  { serverId, address }: { serverId: string; address: string },
): Promise<string> {
  const { cloudId } = JSON.parse(readFileSync(join(cloud.dataDir, "cloud.json"), "utf8"))
  const runDir = `/run/kumoi-${cloudId}`
  const logDir = join(cloud.dataDir, "log")
  const machine = join(cloud.dataDir, "agent", "vms", serverId)
  const bridge = `unix:${join(runDir, "br-int.mgmt")}`
  const northbound = ["ovn-nbctl", `--db=unix:${join(runDir, "nb.sock")}`, "--no-leader-only"]
  const southbound = ["ovn-sbctl", `--db=unix:${join(runDir, "sb.sock")}`, "--no-leader-only"]
  const vswitch = ["ovs-vsctl", `--db=unix:${join(runDir, "ovs.sock")}`, "--no-wait"]
  const datapath = ["ovs-appctl", "-t", join(runDir, "ovs-vswitchd.ctl")]
  const interfaces = [...vswitch, "--columns=name,ofport,link_state,error,external_ids,statistics", "list"]
  const commands: string[][] = [
    ["openstack-as-demo", "server", "show", serverId],
    ["openstack-as-demo", "port", "list", "--server", serverId, "--long"],
    ["openstack-as-demo", "floating", "ip", "list", "--long"],
    ["uptime"],
    ["ip", "neigh"],
    [...interfaces, "Interface"],
    // Between two looks at the counters, so that they tell how far it comes.
    ["ping", "-c", "3", "-W", "1", address],
    ["nc", "-z", "-v", "-w", "3", address, "22"],
    [...interfaces, "Interface"],
    [...northbound, "list", "NAT"],
    [...northbound, "--columns=name,type,up,enabled,addresses,options", "list", "Logical_Switch_Port"],
    [...southbound, "--columns=logical_port,type,chassis,up,tunnel_key", "list", "Port_Binding"],
    [...southbound, "list", "MAC_Binding"],
    ["ovs-ofctl", "dump-flows", bridge, "table=0"],
    ["ovs-ofctl", "dump-flows", bridge, "table=65"],
    [...datapath, "dpctl/dump-flows"],
    [...datapath, "dpctl/dump-conntrack"],
  ]
  const parts = [`# ${serverId} does not answer at ${address}\n`]
  for (const command of commands) parts.push(`# ${command.join(" ")}\n${await said(cloud, command)}`)
  parts.push(`# processes\n${processesOf(cloud.dataDir, `kumoi-${cloudId}`).map(stateOf).join("\n")}\n`)
  for (const file of ["serial.log", "machine.json", "qemu.log"]) parts.push(endOf(join(machine, file), 80))
  for (const name of existsSync(logDir) ? readdirSync(logDir) : []) parts.push(endOf(join(logDir, name), 60))
  return parts.join("")
}

async function said(cloud: TestCloud, [program = "", ...args]: readonly string[]): Promise<string> {
  if (program === "openstack-as-demo") {
    return `${await cloud.openstack("demo", ...args).catch((error: unknown) => String(error))}\n`
  }
  const { stdout, stderr } = await cloud.inside(program, args, { isChecked: false, timeoutMs: 20_000 })
  return `${stdout}${stderr}\n`
}

/** A line of `processesOf` with what the process does at this moment. */
function stateOf(line: string): string {
  try {
    return `${/^State:.*$/m.exec(readFileSync(`/proc/${line.split(" ")[0]}/status`, "utf8"))?.[0]} ${line}`
  } catch {
    return line
  }
}

function endOf(path: string, lines: number): string {
  const text = existsSync(path) ? readFileSync(path, "latin1") : "not there"
  return `# the end of ${path}\n${text.split("\n").slice(-lines).join("\n")}\n`
}
