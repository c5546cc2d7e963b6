// The host on which the control plane works, as one of several: a member like the others, so that it has an agent of
// the cloud's when another control host works.

import type { CloudHosts } from "../../hosts.ts"
import { isKey, makeKey, makeRequest } from "../../platform/authority/authority.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import {
  isCertificateOld,
  memberFiles,
  prepareMemberDirectory,
  readMembership,
  writeCertificate,
  writeMembership,
} from "../joined/membership.ts"

/** From the next start on the host of this process is a control host of several. May be repeated. */
export async function ensureOwnMembership({ config }: Platform, hosts: CloudHosts): Promise<void> {
  const { dataDir, host: name } = config
  if (readMembership(dataDir)) return
  prepareMemberDirectory(dataDir)
  const { keyFile } = memberFiles(dataDir)
  if (!isKey(keyFile)) await makeKey(keyFile)
  const answer = await hosts.admitOwn(await makeRequest(keyFile))
  const { address } = hosts
  const how = { hypervisor: "auto", isControl: true } as const
  writeMembership(dataDir, { door: hosts.doorAt(address), name, id: answer.id, address, ...how }, answer)
}

const lookEveryMs = 6 * 3_600_000

/** While it works nobody else renews its certificate. */
export function keepOwnCertificate({ config, log }: Platform, hosts: CloudHosts): Disposable {
  const { dataDir } = config
  const look = async () => {
    if (!readMembership(dataDir)?.isControl || !isCertificateOld(dataDir)) return
    const { certificate } = await hosts.admitOwn(await makeRequest(memberFiles(dataDir).keyFile))
    writeCertificate(dataDir, certificate)
    log.info("this host's own certificate was renewed")
  }
  const tryIt = () =>
    void look().catch((error: unknown) =>
      log.error({ error: describeError(error) }, "this host's own certificate could not be renewed"),
    )
  tryIt()
  const timer = setInterval(tryIt, lookEveryMs).unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
