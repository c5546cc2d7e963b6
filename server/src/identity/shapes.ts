// Shapes that the inputs of many operations share.
import { Type } from "typebox"

/** Not blank; 255 characters at the most. */
export const ResourceName = Type.String({ minLength: 1, maxLength: 255, pattern: "\\S" })
export const Text = Type.Union([Type.String(), Type.Null()])
export const Id = Type.Object({ id: Type.String() })
export const Extra = Type.Record(Type.String(), Type.Unknown())
export const Options = Type.Record(Type.String(), Type.Unknown())
export const Tag = Type.String({ minLength: 1, maxLength: 255, pattern: "^[^,/]*$" })
export const Tags = Type.Array(Tag, { maxItems: 80, uniqueItems: true })
