internal import Columnar
internal import FeatureModel
internal import FileFormats
internal import Iceberg
internal import OnlineStore
internal import PointInTime
internal import Storage
internal import WriteAheadLog

// How the errors of the rooms below become the store's.

extension FeatureStoreError {
  init(_ error: any Error) {
    switch error {
    case let error as FeatureStoreError: self = error
    case let error as IcebergError: self.init(iceberg: error)
    case let error as StorageError: self.init(storage: error)
    case let error as FeatureModelError: self.init(model: error)
    case let error as PointInTimeError:
      self.init(.invalidInput, error.description, cause: error)
    case let error as FileFormatError: self.init(format: error)
    case let error as OnlineStoreError: self.init(online: error)
    case let error as WriteAheadLogError: self.init(log: error)
    case let error as ColumnSizeError:
      self.init(.invalidInput, "\(error)", cause: error)
    default: self.init(.storage, "\(error)", cause: error)
    }
  }

  private init(iceberg error: IcebergError) {
    let storageCode = error.storageError.map { Code(storage: $0.kind) }
    // What happened to the commit matters more than why.
    if let storageCode, error.kind != .commitStateUnknown {
      self.init(storageCode, error.description, cause: error)
      return
    }
    let code: Code =
      switch error.kind {
      case .invalidMetadata: .corrupt
      case .unsupported, .invalidArgument: .invalidArgument
      case .notFound: .notFound
      case .alreadyExists: .alreadyExists
      case .commitConflict, .validationFailed: .conflict
      case .commitStateUnknown: .commitStateUnknown
      case .cancelled: .timeout
      case .inputOutput: .storage
      }
    self.init(code, error.description, cause: error)
  }

  private init(online error: OnlineStoreError) {
    switch error {
    case .log(let error): self.init(log: error)
    case .keyTooLong: self.init(.invalidInput, error.description, cause: error)
    case .malformedEntry, .indexDisagrees, .indexDamaged:
      self.init(.corrupt, error.description, cause: error)
    }
  }

  private init(log error: WriteAheadLogError) {
    switch error {
    case .storage(let cause): self.init(storage: cause)
    case .corrupt: self.init(.corrupt, error.description, cause: error)
    case .appendFailed(let cause) where cause.kind == .full:
      self.init(.full, error.description, cause: error)
    case .poisoned, .appendFailed: self.init(.poisoned, error.description, cause: error)
    case .full, .limitReached: self.init(.full, error.description, cause: error)
    case .closed: self.init(.closed, "the store is closed", cause: error)
    case .openedForReadingOnly: self.init(.readOnly, error.description, cause: error)
    case .tooLarge: self.init(.invalidInput, error.description, cause: error)
    case .noSuchPosition: self.init(.corrupt, error.description, cause: error)
    case .removed:
      self.init(
        .stale,
        "the writer cleans the log faster than this reader follows: \(error); refresh, or try again",
        cause: error)
    }
  }

  private init(storage error: StorageError) {
    self.init(Code(storage: error.kind), error.description, cause: error)
  }

  private init(model error: FeatureModelError) {
    let code: Code =
      switch error.kind {
      case .invalidName, .invalidType, .invalidDefinition: .invalidArgument
      case .invalidValue, .missingValue: .invalidInput
      case .unknownFeature: .notFound
      case .malformedRow: .corrupt
      }
    self.init(code, error.message, cause: error)
  }

  private init(format error: FileFormatError) {
    if let cause = error.storageError {
      self.init(storage: cause)
    } else {
      let code: Code =
        switch error.kind {
        case .malformed, .memoryLimit: .invalidInput
        case .unsupported, .invalidArgument: .invalidArgument
        case .storage: .storage
        }
      self.init(code, error.description, cause: error)
    }
  }
}

extension FeatureStoreError.Code {
  fileprivate init(storage kind: StorageError.Kind) {
    self =
      switch kind {
      case .notFound: .notFound
      case .exists: .alreadyExists
      case .locked: .locked
      case .full: .full
      case .permissionDenied: .permissionDenied
      case .readOnly: .readOnly
      case .isDirectory, .notDirectory, .outside, .inputOutput: .storage
      }
  }
}
