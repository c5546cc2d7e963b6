// Volumes that QEMU reaches over a network itself. The key is told by a secret object: of a file that is read before
// QEMU gives up root, or over QMP; never as an argument. Pure.
import type { LocalVolume } from "../hypervisor.ts"

export type RemoteVolume = Exclude<LocalVolume, { kind: "file" | "nothing" }>
type RbdVolume = Extract<LocalVolume, { kind: "rbd" }>
type IscsiVolume = Extract<LocalVolume, { kind: "iscsi" }>

/** QEMU's node for it, and the secret that the node names. */
export interface RemoteNode {
  node: { driver: string } & Record<string, unknown>
  secret: KeySecret
}

export interface KeySecret {
  "qom-type": "secret"
  id: string
  format: "base64"
  file: string
}

export function keySecret(file: string, id = "key"): KeySecret {
  return { "qom-type": "secret", id, format: "base64", file }
}

export function remoteNode(volume: RemoteVolume, nodeName: string): RemoteNode {
  const id = `${secretPrefix}${nodeName}`
  const node = volume.kind === "rbd" ? rbdNode(volume, id) : iscsiNode(volume, id)
  return { node, secret: keySecret(volume.keyFile, id) }
}

/** Without a timeout: a guest waits at its write until the other host is back. */
function iscsiNode({ portal, target, lun, user, initiator }: IscsiVolume, secretId: string) {
  return {
    ...{ driver: "iscsi", transport: "tcp", portal, target, lun },
    ...{ user, "password-secret": secretId, "initiator-name": initiator },
  }
}

export function rbdNode({ pool, image, user, monitors }: RbdVolume, secretId = "key") {
  return { driver: "rbd", pool, image, user, server: monitors, "key-secret": secretId }
}

const secretPrefix = "key-"
