/** Steps as they are done: lines for people; with --json only the result at the end is on stdout. */
export type Say = (line: string) => void

export function sayTo(isJson: boolean): Say {
  const began = performance.now()
  return (line) => {
    const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(6)
    const stream = isJson ? process.stderr : process.stdout
    stream.write(`${seconds} s  ${line}\n`)
  }
}
