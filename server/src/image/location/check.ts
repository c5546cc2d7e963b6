// What users say of a place of data, looked at before anything is done with it.
import type { Static } from "typebox"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { refuseUrl } from "../../platform/net/open-url.ts"
import { httpStore } from "../data/stores.ts"
import { locationNeedsStore } from "../faults.ts"
import { downloadRules, isWebAddress } from "../import/web-download.ts"

export const osHashAlgorithms = ["sha256", "sha384", "sha512"] as const
export type OsHashAlgorithm = (typeof osHashAlgorithms)[number]

/** Sums that the data are said to have. */
export const Claim = Type.Object({
  checksum: Type.Optional(Type.String()),
  osHashAlgo: Type.String(),
  osHashValue: Type.String(),
})
export type Claim = Static<typeof Claim>

const digits: Readonly<Record<OsHashAlgorithm, number>> = { sha256: 64, sha384: 96, sha512: 128 }

/** Throws what is wrong with the sums themselves. */
export function checkClaim({ checksum, osHashAlgo, osHashValue }: Claim): OsHashAlgorithm {
  const algorithm = osHashAlgorithms.find((each) => each === osHashAlgo)
  if (!algorithm) {
    throw invalid(
      "os_hash_algo",
      `os_hash_algo must be one of ${osHashAlgorithms.join(", ")}, not ${osHashAlgo}`,
    )
  }
  if (!/^[0-9a-f]*$/i.test(osHashValue))
    throw invalid("os_hash_value", `os_hash_value (${osHashValue}) is not a valid hexadecimal value`)
  if (osHashValue.length !== digits[algorithm]) {
    const size = digits[algorithm] / 2
    throw invalid(
      "os_hash_value",
      `os_hash_value (${osHashValue}) is not the correct size for ${algorithm} (should be ${size} bytes)`,
    )
  }
  if (checksum !== undefined && !/^[0-9a-f]{32}$/i.test(checksum))
    throw invalid("checksum", `checksum (${checksum}) is not a valid md5 in hexadecimal (should be 16 bytes)`)
  return algorithm
}

/** The store that reads addresses. Throws when there is none, or this address may not be asked. */
export function storeOfAddress(ctx: Pick<Ctx, "config">, url: string): string {
  const store = httpStore(ctx)
  if (!store) throw locationNeedsStore()
  const refused = isWebAddress(url)
    ? refuseUrl(url, downloadRules(ctx.config))
    : "only http and https can be read"
  if (refused) throw invalid("url", `The location ${url} cannot be used: ${refused}.`)
  return store.id
}
