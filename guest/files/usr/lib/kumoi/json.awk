# JSON to lines of "path<TAB>value": {"a": [{"b": 1}]} gives "a.0.b<TAB>1". Newlines and tabs in strings stay written
# as \n and \t, so that a value is always one line.
{ text = text $0 "\n" }

END {
  position = 1
  value("")
}

function token(    rest) {
  rest = substr(text, position)
  if (match(rest, /^[ \t\r\n]+/)) {
    position += RLENGTH
    rest = substr(rest, RLENGTH + 1)
  }
  if (match(rest, /^"([^"\\]|\\.)*"/) || match(rest, /^[^][{},: \t\r\n"]+/) || match(rest, /^./)) {
    position += RLENGTH
    return substr(rest, 1, RLENGTH)
  }
  return ""
}

function plain(string) {
  if (string !~ /^"/) return string == "null" ? "" : string
  string = substr(string, 2, length(string) - 2)
  gsub(/\\"/, "\"", string)
  gsub(/\\\//, "/", string)
  gsub(/\\u003c/, "<", string)
  gsub(/\\u003e/, ">", string)
  gsub(/\\u0026/, "\\&", string)
  gsub(/\t/, "\\t", string)
  return string
}

function value(path,    head, key, count, prefix) {
  head = token()
  prefix = path == "" ? "" : path "."
  if (head == "{") {
    while ((key = token()) != "}" && key != "") {
      if (key == ",") continue
      token()
      value(prefix plain(key))
    }
  } else if (head == "[") {
    count = 0
    while (position <= length(text)) {
      key = token()
      if (key == "]" || key == "") break
      if (key == ",") continue
      position -= length(key)
      value(prefix count++)
    }
  } else {
    print path "\t" plain(head)
  }
}
