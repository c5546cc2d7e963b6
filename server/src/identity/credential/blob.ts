// What is in the blob of a credential of type `ec2`.
import { invalid } from "../../platform/fault/fault.ts"

type Ec2Blob = Record<string, unknown> & { access: string }

export function readEc2Blob(text: string): Ec2Blob {
  let blob: unknown
  try {
    blob = JSON.parse(text)
  } catch {
    throw invalid("blob", "Invalid blob in credential: it must be JSON.")
  }
  if (typeof blob !== "object" || blob === null || !("access" in blob) || typeof blob.access !== "string")
    throw invalid("blob", "Expecting to find access in credential, as a string in the JSON of the blob.")
  return { ...blob, access: blob.access }
}

export function isEc2(type: string): boolean {
  return type.toLowerCase() === "ec2"
}
