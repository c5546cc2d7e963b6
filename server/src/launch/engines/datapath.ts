// Which datapath Open vSwitch can use here: the kernel's where its module is, else its own in user space.
import { existsSync } from "node:fs"
import { exec } from "../../platform/exec/exec.ts"
import type { DatapathType } from "./ovn.ts"

const loadedModule = "/sys/module/openvswitch"

export async function datapathType(): Promise<DatapathType> {
  if (existsSync(loadedModule)) return "system"
  // Not loaded is not missing: ask for it, as ovs-vswitchd's own start script does.
  await exec("modprobe", ["--quiet", "openvswitch"], { okCodes: [0, 1] }).catch(() => {})
  return existsSync(loadedModule) ? "system" : "netdev"
}
