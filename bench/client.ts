// The few calls that the measurements need, straight over HTTP.
export interface Session {
  url: string
  token: string
  projectId: string
}

export function passwordBody(user: string, password: string, project: string): string {
  return JSON.stringify({
    auth: {
      identity: {
        methods: ["password"],
        password: { user: { name: user, domain: { id: "default" }, password } },
      },
      scope: { project: { name: project, domain: { id: "default" } } },
    },
  })
}

export async function logIn(url: string, user: string, password: string, project: string): Promise<Session> {
  const response = await fetch(`${url}/identity/v3/auth/tokens`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: passwordBody(user, password, project),
  })
  if (response.status !== 201) throw new Error(`log in: ${response.status} ${await response.text()}`)
  const body = (await response.json()) as { token: { project: { id: string } } }
  return { url, token: response.headers.get("x-subject-token") ?? "", projectId: body.token.project.id }
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
