// Nova's operators of extra specs: `<in> avx`, `>= 4`, `s== x86_64`, `<or> a <or> b`. Without one the words are equal.
const numeric: Record<string, (has: number, wanted: number) => boolean> = {
  "=": (has, wanted) => has >= wanted,
  "==": (has, wanted) => has === wanted,
  "!=": (has, wanted) => has !== wanted,
  ">=": (has, wanted) => has >= wanted,
  "<=": (has, wanted) => has <= wanted,
}

const textual: Record<string, (has: string, wanted: string) => boolean> = {
  "s==": (has, wanted) => has === wanted,
  "s!=": (has, wanted) => has !== wanted,
  "s<": (has, wanted) => has < wanted,
  "s<=": (has, wanted) => has <= wanted,
  "s>": (has, wanted) => has > wanted,
  "s>=": (has, wanted) => has >= wanted,
}

/** Whether what there is (`has`) is what the extra spec asks for. */
export function matchesSpec(has: string, spec: string): boolean {
  const words = spec.trim().split(/\s+/)
  const [operator = "", ...rest] = words
  if (operator === "<or>") return alternatives(spec).includes(has)
  if (operator === "<in>") return rest.length > 0 && has.includes(rest.join(" "))
  if (operator === "<all-in>") return rest.every((word) => has.includes(word))
  if (operator === "<range-in>") return isInRange(has, rest.join(" "))
  if (rest.length === 0) return has === spec.trim()
  const byNumber = Object.hasOwn(numeric, operator) ? numeric[operator] : undefined
  if (byNumber) return byNumber(Number(has), Number(rest.join(" ")))
  const byText = Object.hasOwn(textual, operator) ? textual[operator] : undefined
  return byText ? byText(has, rest.join(" ")) : has === spec.trim()
}

function alternatives(spec: string): string[] {
  return spec
    .split("<or>")
    .map((part) => part.trim())
    .filter((part) => part !== "")
}

/** `[ 10 20 ]`; a round bracket leaves the bound itself out. */
function isInRange(has: string, range: string): boolean {
  const match = /^([[(])\s*(\S+)\s+(\S+?)\s*([\])])$/.exec(range)
  if (!match) return false
  const [, open, low, high, close] = match
  const value = Number(has)
  const isAbove = open === "[" ? value >= Number(low) : value > Number(low)
  return isAbove && (close === "]" ? value <= Number(high) : value < Number(high))
}
