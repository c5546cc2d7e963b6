// What the service that encrypts volumes is told of images that are made of such. It stands on this one and is not
// imported here: it gives itself with the platform.
import type { Tx } from "../../platform/db/database.ts"

export interface ImageKeys {
  /** The image is gone, and its key with it. In the transaction that removes it. Repeatable. */
  forget(tx: Tx, imageId: string): Promise<void>
}

declare module "../../platform/context/context.ts" {
  interface Drivers {
    readonly imageKeys?: ImageKeys
  }
}
