import { invalid } from "../../platform/fault/fault.ts"

/** Ids become paths and names on this host, so each has one spelling. */
export function isVolumeId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}

export function checkVolumeId(text: string): string {
  if (!isVolumeId(text)) throw invalid("volumeId", "An id of a volume is a UUID in small letters.")
  return text
}
