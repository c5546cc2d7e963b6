// What the configuration says of a back end of volumes, by its kind.
import { type Static, Type } from "typebox"

/** It becomes a part of `host@backend`, and of paths. */
const name = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" })
const directory = Type.String({ pattern: "^(/[^/\\u0000]+)+/?$", maxLength: 1024 })
/** The file of a program that takes a comma for the end of its name. */
const file = Type.String({ pattern: "^(/[^/,\\u0000]+)+$", maxLength: 1024 })
const byte = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
const ipv4 = `(${byte}\\.){3}${byte}`
const cephName = Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$" })

export const backEndKinds = {
  /** With a directory: of all simulated hosts that have it, as `nfs` is of real ones. */
  fake: Type.Object({ name, kind: Type.Literal("fake"), directory: Type.Optional(directory) }),
  file: Type.Object({ name, kind: Type.Literal("file"), directory: Type.Optional(directory) }),
  iscsi: Type.Object({
    name,
    kind: Type.Literal("iscsi"),
    directory: Type.Optional(file),
    /** Where other hosts reach its volumes; left out: this host has none, and reaches those of others. */
    portal: Type.Optional(Type.String({ pattern: `^${ipv4}(:\\d{1,5})?$` })),
  }),
  nfs: Type.Object({
    name,
    kind: Type.Literal("nfs"),
    directory,
    /** What is to be mounted there; left out: anything is right. */
    source: Type.Optional(Type.String({ minLength: 1, maxLength: 1024 })),
  }),
  rbd: Type.Object({
    name,
    kind: Type.Literal("rbd"),
    /** Ceph's, with the application `rbd`. */
    pool: cephName,
    user: cephName,
    /** With the user's key. */
    keyringFile: file,
    /** Default: /etc/ceph/ceph.conf. */
    configFile: Type.Optional(file),
  }),
} as const

export type VolumeBackEnd = Static<(typeof backEndKinds)[keyof typeof backEndKinds]>
