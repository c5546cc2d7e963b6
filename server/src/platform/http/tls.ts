// A certificate and its key in files, read again when they change: renewing them needs no restart.
import { createPrivateKey, X509Certificate } from "node:crypto"
import { readFileSync, unwatchFile, watchFile } from "node:fs"
import type { Server } from "node:https"
import { createSecureContext } from "node:tls"
import { Fault } from "../fault/fault.ts"
import type { Logger } from "../log/log.ts"

export interface TlsFiles {
  /** PEM: the certificate, then those between it and its authority. */
  certFile: string
  keyFile: string
}

const watchMs = 5_000

/** What a TLS server is made from; a fault when the two are not there or do not belong together. */
export function readTls({ certFile, keyFile }: TlsFiles) {
  const settings = { cert: readPem(certFile), key: readPem(keyFile), minVersion: "TLSv1.2" as const }
  try {
    if (!new X509Certificate(settings.cert).checkPrivateKey(createPrivateKey(settings.key)))
      throw notTogether(certFile, keyFile)
    createSecureContext(settings)
  } catch (cause) {
    if (cause instanceof Fault) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    const message = `${certFile} and ${keyFile} are no certificate and its key in PEM: ${why}.`
    throw new Fault("invalid", "tls.unusable", message, { cause })
  }
  return settings
}

function notTogether(certFile: string, keyFile: string): Fault {
  const message = `The certificate ${certFile} and the key ${keyFile} do not belong together.`
  return new Fault("invalid", "tls.not_together", message)
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new Fault("invalid", "tls.unreadable", `${path} cannot be read.`, { cause })
  }
}

/** The servers take over what the files say from then on; while the two do not fit they keep what they have. */
export function followTls(files: TlsFiles, servers: readonly Server[], log: Logger | undefined): Disposable {
  const change = () => {
    try {
      const settings = readTls(files)
      for (const server of servers) server.setSecureContext(settings)
      log?.info({ certFile: files.certFile }, "the certificate was read again")
    } catch (error) {
      log?.error({ err: error }, "the changed certificate is of no use; the one before stays")
    }
  }
  const paths = [files.certFile, files.keyFile]
  for (const path of paths) watchFile(path, { interval: watchMs, persistent: false }, change)
  return {
    [Symbol.dispose]() {
      for (const path of paths) unwatchFile(path, change)
    },
  }
}
