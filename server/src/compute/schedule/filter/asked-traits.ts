import type { Filter } from "./filter.ts"

const fixes: readonly [RegExp, string][] = [
  [/^COMPUTE_SECURITY_TPM_SECRET_SECURITY_/, "hw:tpm_secret_security deployment, or none, in the flavor"],
  [/^COMPUTE_SECURITY_UEFI_SECURE_BOOT$/, "the package ovmf on the host"],
  [/^COMPUTE_SECURITY_TPM_/, "the package swtpm on the host"],
]

function fixOf(missing: readonly string[]): string | null {
  return fixes.find(([pattern]) => missing.some((trait) => pattern.test(trait)))?.[1] ?? null
}

/** `trait:X = required` or `forbidden` of the flavor, `required` of the image, and what other wishes imply. */
export const askedTraitsFilter: Filter = {
  name: "AskedTraits",
  needs: ["traits"],
  isAsked: ({ hardware: { traits } }) => traits.required.length + traits.forbidden.length > 0,
  refuse: ({ traits: has }, { hardware: { traits } }) => {
    const missing = traits.required.filter((trait) => !has.includes(trait))
    const unwanted = traits.forbidden.filter((trait) => has.includes(trait))
    if (missing.length === 0 && unwanted.length === 0) return null
    const [words, forUser] =
      missing.length > 0
        ? [`it does not have ${missing.join(", ")}`, `it does not have ${missing.join(", ")}`]
        : [`it has ${unwanted.join(", ")}`, `it has ${unwanted.join(", ")}`]
    const traitsOfOthers = [...missing, ...unwanted].filter((trait) => !/^(COMPUTE|HW)_/.test(trait))
    return {
      why: words,
      fix:
        traitsOfOthers.length > 0
          ? `openstack resource provider trait set (${traitsOfOthers.join(", ")})`
          : fixOf(missing),
      forUser,
    }
  },
}
