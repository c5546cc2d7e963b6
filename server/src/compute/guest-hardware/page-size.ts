// The pages that a guest's memory is made of, by Nova's rules and in its words.
import { badRequest } from "../faults.ts"
import { both, isTrue, oneOf, type Wishes } from "./wishes.ts"

/** `large`: any that are larger than the usual ones. A number: KiB. */
export type PageSize = "small" | "large" | "any" | number

/** Of an x86. */
export const usualPageKib = 4

/** Null: as the host has them. */
export function pageSizeOf(wishes: Wishes): PageSize | null {
  const { ofFlavor, ofImage } = both(wishes, "hw:mem_page_size")
  if (ofFlavor === undefined && ofImage !== undefined) throw forbidden(ofImage, "<empty>")
  if (isTrue(oneOf(wishes, "hw:locked_memory")) && ofFlavor === undefined)
    throw badRequest("locked_memory value in image or flavor is forbidden when mem_page_size is not set.")
  if (ofFlavor === undefined) return null
  const size = parseSize(ofFlavor)
  if (ofImage === undefined) return size
  if (size === "any" || size === "large") return parseSize(ofImage)
  throw forbidden(ofImage, ofFlavor)
}

function forbidden(size: string, against: string) {
  return badRequest(`Page size ${size} forbidden against '${against}'`)
}

const powers: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4 }

/** A bare number is one of KiB; with a unit (`2MB`, `1GiB`, `16Mbit`) it is of bytes, as oslo reads it. */
function parseSize(text: string): PageSize {
  if (text === "small" || text === "large" || text === "any") return text
  const [, number, prefix = "", unit = ""] = /^(\d{1,12})([kKMGT]?)i?(b|bit|B)?$/.exec(text.trim()) ?? []
  const power = powers[prefix.toLowerCase()]
  if (number === undefined || power === undefined) throw badRequest(`Invalid memory page size '${text}'`)
  const bytes = Number(number) * (prefix === "" && unit === "" ? 1024 : 1024 ** power)
  if (bytes === 0) throw badRequest(`Invalid memory page size '${text}'`)
  return Math.ceil(unit === "b" || unit === "bit" ? bytes / 8 : bytes) / 1024
}
