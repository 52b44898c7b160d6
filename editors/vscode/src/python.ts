import * as vscode from "vscode";

/** What is used of the interface of the extension ms-python.python. */
interface PythonApi {
  readonly environments: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { readonly path: string };
    resolveEnvironment(path: { readonly path: string }): Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
    readonly onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

async function api(): Promise<PythonApi | undefined> {
  const extension = vscode.extensions.getExtension<PythonApi>("ms-python.python");
  if (!extension) {
    return undefined;
  }
  const found = extension.isActive ? extension.exports : await extension.activate();
  return found?.environments ? found : undefined;
}

/** The Python interpreter that is selected in the Python extension; undefined without one. */
export async function selectedInterpreter(): Promise<string | undefined> {
  if (!vscode.workspace.isTrusted) {
    return undefined; // it may lie in the workspace
  }
  try {
    const environments = (await api())?.environments;
    const resource = vscode.workspace.workspaceFolders?.[0]?.uri;
    const active = environments?.getActiveEnvironmentPath(resource);
    const resolved = active && (await environments?.resolveEnvironment(active));
    return resolved?.executable.uri?.fsPath;
  } catch {
    return undefined; // an extension that fails must not keep ours from working
  }
}

/** Call something when another interpreter is selected. */
export async function onInterpreterChanged(call: () => void): Promise<vscode.Disposable> {
  const environments = await api().then((found) => found?.environments, () => undefined);
  return environments?.onDidChangeActiveEnvironmentPath(call) ?? new vscode.Disposable(() => undefined);
}
