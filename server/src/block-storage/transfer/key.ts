import { createHash } from "node:crypto"

/** Of Cinder's keys: 16 hexadecimal digits. */
export const keyBytes = 8

export const hashOf = (salt: Buffer, key: string) => createHash("sha256").update(salt).update(key).digest()
