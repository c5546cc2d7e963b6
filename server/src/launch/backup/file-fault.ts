// What the file system refused while a backup is written or read, in a sentence.
import { isDiskFull } from "../../platform/exec/disk-full.ts"
import { Fault } from "../../platform/fault/fault.ts"

const sentences: Readonly<Record<string, (path: string) => string>> = {
  EACCES: (path) => `This user may not read or write ${path}.`,
  EPERM: (path) => `This user may not read or write ${path}.`,
  EEXIST: (path) => `${path} is there already and is not a directory.`,
  ENOTDIR: (path) => `${path} is not a directory, or leads through something that is none.`,
  EISDIR: (path) => `${path} is a directory where a file is expected.`,
  ENOENT: (path) => `${path} is not there and cannot be made there.`,
  EROFS: (path) => `${path} is on a file system that can only be read.`,
  ELOOP: (path) => `${path} leads through links that have no end.`,
  ENAMETOOLONG: (path) => `${path} is too long a name.`,
  EIO: (path) => `The disk fails at ${path}.`,
}

/** Runs it; `directory` is the backup's, or where one is restored to: full when an error names no path. */
export async function withFileFaults<T>(directory: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw fileFault(error, directory) ?? error
  }
}

export function fileFault(error: unknown, directory: string): Fault | undefined {
  if (error instanceof Fault) return undefined
  if (isDiskFull(error)) {
    const message = `The disk is full: not everything could be written to ${directory}. Make room and do it again.`
    return new Fault("no_capacity", "cli.disk_full", message, { cause: error })
  }
  if (!(error instanceof Error) || !("syscall" in error) || error.syscall === "connect") return undefined
  const { code, path } = error as NodeJS.ErrnoException
  const sentence = sentences[code ?? ""]
  if (!sentence) return undefined
  return new Fault("precondition", "cli.file_refused", sentence(path ?? directory), { cause: error })
}
