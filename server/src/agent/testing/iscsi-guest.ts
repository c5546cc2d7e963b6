import { remoteNode } from "../hypervisor/qemu/remote-volume.ts"
import type { VolumeConnection } from "../protocol.ts"

/** What QEMU's programs are called with to open the volume of another host, as a machine does. */
export function iscsiArguments(told: Omit<VolumeConnection, "secret">, keyFile: string): string[] {
  const { portal, target, lun, user, initiator } = told
  const volume = { kind: "iscsi" as const, portal, target, lun, user, initiator, keyFile }
  const { node, secret } = remoteNode(volume, "v")
  const { "qom-type": kind, ...facts } = secret
  const object = [kind, ...Object.entries(facts).map(([key, value]) => `${key}=${value}`)].join(",")
  return ["--object", object, `json:${JSON.stringify({ ...node, cache: { direct: true } })}`]
}
