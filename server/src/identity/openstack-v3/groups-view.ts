import { groupNoun } from "../index.ts"
import { viewOf } from "./resource.ts"

export const viewGroup = viewOf(groupNoun, ({ id }) => `groups/${id}`)
