public import Iceberg
import JSON
public import Storage
import Synchronization

/// A catalog behind Iceberg's REST protocol.
///
/// The server owns the tables' metadata: a commit sends what changes and what must still be true, and
/// the server answers with the new version. Data files and manifests are written here, before. A
/// request that changes something is sent once: when no clear answer comes, the outcome is unknown, and
/// the commit looks for its snapshot in the table. Thread-safe.
public final class RESTCatalog: Catalog {
  public struct Options: Sendable {
    /// Of the server, without `/v1`.
    public var uri: String
    /// What the server calls the warehouse, if it has several.
    public var warehouse: String?
    /// A bearer token; not used when there is a credential.
    public var token: String?
    /// `client-id:client-secret`, for which a token is fetched, and fetched again when it expires.
    public var credential: String?
    public var scope = "catalog"
    /// nil asks the catalog's own server for tokens.
    public var oauth2ServerURI: String?
    /// Sent with every request.
    public var headers: [String: String] = [:]
    /// How often a request that changes nothing is repeated after a failure, and any after an answer that
    /// says to come back later (429).
    public var readRetryCount = 3
    /// Folders beside a table's own in which tables may have files. Not looked at when the `FileIO` has
    /// allowed roots.
    public var tableFolders: [String] = []
    /// Whether a token or a credential may go over plain `http` to another machine, where all who are in
    /// between can read it.
    public var sendsSecretsUnencrypted = false
    /// Waits between repetitions.
    public var pause: @Sendable (_ milliseconds: Int64) -> Void = { CommitOptions().pause($0) }

    public init(uri: String) { self.uri = Options.withoutSlash(uri) }

    static func withoutSlash(_ text: String) -> String {
      var text = text
      while text.utf8.last == UInt8(ascii: "/") { text.removeLast() }
      return text
    }
  }

  public let name: String
  public let io: FileIO
  /// What the server's configuration and the options come to: defaults of the server, then the
  /// options, then what the server insists on.
  public let properties: [String: String]
  private let session: RESTSession
  private let tableFolders: [String]
  private let clock: any WallClock
  /// What the server said of tables when they were loaded last.
  private let configurations = Mutex<[TableIdentifier: [String: String]]>([:])
  /// `/v1`, and the prefix that the server asks for.
  private let root: String

  /// Asks the server for its configuration.
  public init(
    name: String, options: Options, io: FileIO, clock: any WallClock = SystemClock(),
    client: any HTTPClient = CurlClient()
  ) throws(IcebergError) {
    self.name = name
    self.io = io
    self.clock = clock
    tableFolders = options.tableFolders
    let query = options.warehouse.map { "?warehouse=" + PercentEncoding.encode($0) } ?? ""
    let path = "/v1/config" + query
    let first = RESTSession(options, client, clock)
    let config = try RESTSession.json(try first.read(.get, path), path)
    var properties = try RESTCatalog.strings(config, "defaults")
    properties["uri"] = options.uri
    if let warehouse = options.warehouse { properties["warehouse"] = warehouse }
    properties.merge(try RESTCatalog.strings(config, "overrides")) { $1 }
    self.properties = properties
    var options = options
    options.uri = Options.withoutSlash(properties["uri"] ?? options.uri)
    options.token = options.token ?? properties["token"]
    options.oauth2ServerURI = options.oauth2ServerURI ?? properties["oauth2-server-uri"]
    session = RESTSession(options, client, clock)
    let prefix = properties["prefix"].map { "/" + Options.withoutSlash($0) } ?? ""
    root = "/v1" + prefix
  }

  private static func strings(_ json: JSONValue, _ key: String) throws(IcebergError) -> [String:
    String]
  {
    guard let members = json[key], members != .null else { return [:] }
    guard let object = members.objectValue else {
      throw IcebergError(.invalidMetadata, "the server's '\(key)' are no object")
    }
    var strings: [String: String] = [:]
    for (name, value) in object.members { strings[name] = value.stringValue }
    return strings
  }
}

// Namespaces.
extension RESTCatalog {
  private func path(_ namespace: Namespace) -> String {
    // Levels are separated by the unit separator, which no name has.
    root + "/namespaces/" + PercentEncoding.encode(namespace.levels.joined(separator: "\u{1F}"))
  }

  private func json(_ namespace: Namespace) -> JSONValue {
    .array(namespace.levels.map { .string($0) })
  }

  public func createNamespace(
    _ namespace: Namespace, properties: [String: String] = [:]
  ) throws(IcebergError) {
    let path = root + "/namespaces"
    let body: JSONValue = [
      "namespace": json(namespace), "properties": RESTCatalog.object(properties),
    ]
    try alreadyExists("the namespace '\(namespace)'") { () throws(IcebergError) in
      _ = try RESTSession.json(try session.write(.post, path, body), path)
    }
  }

  public func listNamespaces() throws(IcebergError) -> [Namespace] {
    var found: [Namespace] = []
    var waiting: [Namespace?] = [nil]
    while let parent = waiting.popLast() {
      let query = parent.map {
        "?parent=" + PercentEncoding.encode($0.levels.joined(separator: "\u{1F}"))
      }
      for element in try pages(root + "/namespaces" + (query ?? ""), "namespaces") {
        let namespace = try Namespace((element.arrayValue ?? []).map { $0.stringValue ?? "" })
        // A server that lists a namespace below itself must not make this go on for ever.
        guard namespace.levels.count > parent?.levels.count ?? 0, namespace.levels.count <= 32
        else { continue }
        found.append(namespace)
        waiting.append(namespace)
      }
    }
    return found
  }

  public func namespaceProperties(_ namespace: Namespace) throws(IcebergError) -> [String: String] {
    let path = path(namespace)
    return try RESTCatalog.strings(
      try RESTSession.json(try session.read(.get, path), path), "properties")
  }

  public func dropNamespace(_ namespace: Namespace) throws(IcebergError) {
    let path = path(namespace)
    let response = try session.write(.delete, path, nil)
    guard response.status != 409 else {
      throw IcebergError(.validationFailed, "the namespace '\(namespace)' is not empty")
    }
    try require(response, path)
  }
}

// Tables.
extension RESTCatalog {
  private func path(_ identifier: TableIdentifier) -> String {
    path(identifier.namespace) + "/tables/" + PercentEncoding.encode(identifier.name)
  }

  private func json(_ identifier: TableIdentifier) -> JSONValue {
    ["namespace": json(identifier.namespace), "name": .string(identifier.name)]
  }

  public func listTables(_ namespace: Namespace) throws(IcebergError) -> [TableIdentifier] {
    var tables: [TableIdentifier] = []
    for element in try pages(path(namespace) + "/tables", "identifiers") {
      guard let name = element["name"]?.stringValue else {
        throw IcebergError(.invalidMetadata, "the server lists a table without a name")
      }
      tables.append(try TableIdentifier(namespace, name))
    }
    return tables
  }

  public func tableExists(_ identifier: TableIdentifier) throws(IcebergError) -> Bool {
    let path = path(identifier)
    let response = try session.read(.head, path)
    if response.status == 404 { return false }
    try require(response, path)
    return true
  }

  public func createTable(
    _ identifier: TableIdentifier, _ definition: TableDefinition
  ) throws(IcebergError) -> Table {
    let path = path(identifier.namespace) + "/tables"
    // The server assigns ids anew; what we send must be one table already.
    let draft = try TableMetadata.new(
      schema: definition.schema, partitionSpec: definition.partitionSpec,
      sortOrder: definition.sortOrder, location: definition.location ?? "file:///none",
      formatVersion: definition.formatVersion, nowMilliseconds: 0)
    var properties = definition.propertiesOfNewTable
    properties["format-version"] = String(definition.formatVersion)
    var body: JSONObject = [
      "name": .string(identifier.name), "schema": draft.currentSchema.json,
      "partition-spec": draft.defaultPartitionSpec.json,
      "write-order": draft.defaultSortOrder.json, "stage-create": false,
      "properties": RESTCatalog.object(properties),
    ]
    if let location = definition.location { body["location"] = .string(location) }
    return try alreadyExists("the table '\(identifier)'") { () throws(IcebergError) in
      try table(identifier, try session.write(.post, path, .object(body)), path)
    }
  }

  public func loadTable(_ identifier: TableIdentifier) throws(IcebergError) -> Table {
    let path = path(identifier)
    return try table(identifier, try session.read(.get, path, token: token(identifier)), path)
  }

  public func loadState(_ identifier: TableIdentifier) throws(IcebergError) -> TableState {
    let path = path(identifier)
    return try state(identifier, try session.read(.get, path, token: token(identifier)), path)
  }

  public func dropTable(_ identifier: TableIdentifier) throws(IcebergError) {
    let path = path(identifier) + "?purgeRequested=false"
    try require(try session.write(.delete, path, nil, token: token(identifier)), path)
    configurations.withLock { $0[identifier] = nil }
  }

  public func renameTable(
    _ identifier: TableIdentifier, to newIdentifier: TableIdentifier
  ) throws(IcebergError) {
    let path = root + "/tables/rename"
    let body: JSONValue = ["source": json(identifier), "destination": json(newIdentifier)]
    try alreadyExists("the table '\(newIdentifier)'") { () throws(IcebergError) in
      try require(try session.write(.post, path, body), path)
    }
  }

  public func registerTable(
    _ identifier: TableIdentifier, metadataLocation: String
  ) throws(IcebergError) -> Table {
    let path = path(identifier.namespace) + "/register"
    let body: JSONValue = [
      "name": .string(identifier.name), "metadata-location": .string(metadataLocation),
    ]
    return try alreadyExists("the table '\(identifier)'") { () throws(IcebergError) in
      try table(identifier, try session.write(.post, path, body), path)
    }
  }

  /// Sends the updates and the requirements; `base` only says how snapshots are written: the server
  /// decides on what it has. Several changes go to its `transactions/commit`, which not every server
  /// has; the new versions are then loaded one by one, and may be newer than the commit.
  public func commit(_ changes: [TableChange]) throws(IcebergError) -> [TableState] {
    let isTransaction = changes.count != 1
    let path = isTransaction ? root + "/transactions/commit" : path(changes[0].identifier)
    let body: JSONValue =
      isTransaction ? ["table-changes": .array(changes.map(json))] : json(changes[0])
    let response = try session.write(
      .post, path, body, token: isTransaction ? nil : token(changes[0].identifier))
    try require(response, path)
    do throws(IcebergError) {
      guard isTransaction else { return [try state(changes[0].identifier, response, path)] }
      var states: [TableState] = []
      for change in changes { states.append(try loadState(change.identifier)) }
      return states
    } catch {
      // It was committed, whatever the answer looks like.
      throw IcebergError(.commitStateUnknown, error.message, context: error.context)
    }
  }

  private func json(_ change: TableChange) -> JSONValue {
    var version = change.base.metadata.formatVersion
    for case .upgradeFormatVersion(let newer) in change.updates { version = max(version, newer) }
    return [
      "identifier": json(change.identifier),
      "requirements": .array(change.requirements.compactMap(\.json)),
      "updates": .array(change.updates.map { $0.json(formatVersion: version) }),
    ]
  }
}

// Answers.
extension RESTCatalog {
  private static func object(_ properties: [String: String]) -> JSONValue {
    .object(JSONObject(properties.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
  }

  /// What the server says of one table alone, as it came with its metadata: with `token` requests for the
  /// table carry that one, the rest is for those who read its files elsewhere. Empty for a table that this
  /// catalog has not loaded.
  public func configuration(_ identifier: TableIdentifier) -> [String: String] {
    configurations.withLock { $0[identifier] ?? [:] }
  }

  private func token(_ identifier: TableIdentifier) -> String? {
    configuration(identifier)["token"]
  }

  private func state(
    _ identifier: TableIdentifier, _ response: HTTPResponse, _ path: String
  ) throws(IcebergError) -> TableState {
    let json = try RESTSession.json(response, path)
    guard let metadata = json["metadata"] else {
      throw IcebergError(.invalidMetadata, "\(path): the server's answer has no 'metadata'")
    }
    // An answer to a commit has none, and changes nothing.
    if json["config"]?.objectValue != nil {
      let found = try RESTCatalog.strings(json, "config")
      configurations.withLock { known in
        if known.count >= 1024 { known.removeAll() }
        known[identifier] = found.isEmpty ? nil : found
      }
    }
    return TableState(
      metadata: try TableMetadata(json: metadata),
      metadataLocation: json["metadata-location"]?.stringValue ?? "")
  }

  private func table(
    _ identifier: TableIdentifier, _ response: HTTPResponse, _ path: String
  ) throws(IcebergError) -> Table {
    let state = try state(identifier, response, path)
    let io = try io.confined(
      to: tableFolders, metadataLocation: state.metadataLocation, location: state.metadata.location)
    return Table(identifier: identifier, state: state, catalog: self, io: io, clock: clock)
  }

  private func require(_ response: HTTPResponse, _ path: String) throws(IcebergError) {
    guard (200..<300).contains(response.status) else {
      throw RESTSession.error(response, path)
    }
  }

  /// Outside commits, 409 says that something is there already.
  private func alreadyExists<Result>(
    _ what: String, _ body: () throws(IcebergError) -> Result
  ) throws(IcebergError) -> Result {
    do { return try body() } catch {
      guard error.kind == .commitConflict else { throw error }
      throw IcebergError(.alreadyExists, "\(what) already exists", context: error.context)
    }
  }

  /// All elements of a list that comes in pages.
  private func pages(_ path: String, _ key: String) throws(IcebergError) -> [JSONValue] {
    var elements: [JSONValue] = []
    var page = path
    for _ in 0..<100_000 {
      let json = try RESTSession.json(try session.read(.get, page), page)
      guard let found = json[key]?.arrayValue else {
        throw IcebergError(.invalidMetadata, "\(page): the server's answer has no '\(key)'")
      }
      elements += found
      guard let token = json["next-page-token"]?.stringValue, !token.isEmpty else {
        return elements
      }
      page =
        path + (path.utf8.contains(UInt8(ascii: "?")) ? "&" : "?") + "pageToken="
        + PercentEncoding.encode(token)
    }
    throw IcebergError(.invalidMetadata, "\(path): the server's list has no end")
  }
}
