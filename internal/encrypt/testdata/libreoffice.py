"""Opens documents in one LibreOffice. Each line of input is {"path", "password", "pdf"}; each line of
output {"text"} or {"error"}. With "pdf" the document is also exported there."""

import json
import os
import subprocess
import sys
import tempfile
import time

import uno
from com.sun.star.beans import PropertyValue


def prop(name, value):
    p = PropertyValue()
    p.Name, p.Value = name, value
    return p


def text(doc):
    if doc.supportsService("com.sun.star.text.TextDocument"):
        return doc.Text.String
    if doc.supportsService("com.sun.star.sheet.SpreadsheetDocument"):
        return doc.Sheets.getByIndex(0).getCellByPosition(0, 0).String
    page = doc.DrawPages.getByIndex(0)
    return "\n".join(page.getByIndex(i).String for i in range(page.Count))


def main():
    home = tempfile.mkdtemp(dir=sys.argv[1])
    pipe = "plaincover%d" % os.getpid()
    office = subprocess.Popen(
        ["soffice", "--headless", "--norestore", "--nologo", "-env:UserInstallation=" + uno.systemPathToFileUrl(home),
         "--accept=pipe,name=%s;urp;" % pipe], stdout=sys.stderr)
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    for _ in range(1200):
        try:
            context = resolver.resolve("uno:pipe,name=%s;urp;StarOffice.ComponentContext" % pipe)
            break
        except Exception:
            if office.poll() is not None:
                sys.exit("LibreOffice ended at its start")
            time.sleep(0.1)
    else:
        sys.exit("LibreOffice does not answer")
    desktop = context.ServiceManager.createInstanceWithContext("com.sun.star.frame.Desktop", context)
    for line in sys.stdin:
        job = json.loads(line)
        args = [prop("Hidden", True), prop("ReadOnly", True)]
        if job.get("password"):
            args.append(prop("Password", job["password"]))
        try:
            doc = desktop.loadComponentFromURL(uno.systemPathToFileUrl(job["path"]), "_blank", 0, tuple(args))
            if doc is None:
                raise RuntimeError("not loaded")
            answer = {"text": text(doc)}
            if job.get("pdf"):
                kind = "impress" if doc.supportsService("com.sun.star.presentation.PresentationDocument") else "writer"
                doc.storeToURL(uno.systemPathToFileUrl(job["pdf"]), (prop("FilterName", kind + "_pdf_Export"),))
            doc.close(False)
        except Exception as e:
            answer = {"error": type(e).__name__ + ": " + str(e)[:200]}
        print(json.dumps(answer), flush=True)
    try:
        desktop.terminate()
    except Exception:
        pass
    office.wait()


main()
