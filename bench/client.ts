// The few calls that the measurements need, straight over HTTP.
export interface Session {
  url: string
  token: string
  projectId: string
}

const domain = { id: "default" }

/** Without a project, the token has no scope. */
export function passwordBody(user: string, password: string, project?: string): string {
  const identity = { methods: ["password"], password: { user: { name: user, domain, password } } }
  const scope = project === undefined ? "unscoped" : { project: { name: project, domain } }
  return JSON.stringify({ auth: { identity, scope } })
}

export function tokenBody(token: string, projectId: string): string {
  const identity = { methods: ["token"], token: { id: token } }
  return JSON.stringify({ auth: { identity, scope: { project: { id: projectId } } } })
}

/** The new token and its project ("" without a scope). */
export async function issueToken(url: string, body: string): Promise<{ token: string; projectId: string }> {
  const response = await fetch(`${url}/identity/v3/auth/tokens`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  })
  const text = await response.text()
  if (response.status !== 201) throw new Error(`log in: ${response.status} ${text}`)
  const { token }: { token: { project?: { id: string } } } = JSON.parse(text)
  return { token: response.headers.get("x-subject-token") ?? "", projectId: token.project?.id ?? "" }
}

export async function logIn(url: string, user: string, password: string, project: string): Promise<Session> {
  return { url, ...(await issueToken(url, passwordBody(user, password, project))) }
}

export async function call<T>(session: Session, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${session.url}${path}`, {
    method,
    headers: { "x-auth-token": session.token, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return (text ? JSON.parse(text) : undefined) as T
}
