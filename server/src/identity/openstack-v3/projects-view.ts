import { domainNoun, projectNoun } from "../index.ts"
import { viewOf } from "./resource.ts"

export const viewProject = viewOf(projectNoun, ({ id }) => `projects/${id}`)
export const viewDomain = viewOf(domainNoun, ({ id }) => `domains/${id}`)
