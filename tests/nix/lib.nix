# As much of nixpkgs' lib as the modules and the flake use, so that they can be
# evaluated where no nixpkgs is. It keeps to what makes modules go wrong there:
# which options a module defines is needed before any option's value, an option
# that nobody declared is an error, and so are two values of one priority.
let
  inherit (builtins)
    all
    attrNames
    concatLists
    concatMap
    elem
    elemAt
    filter
    foldl'
    head
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isPath
    isString
    length
    mapAttrs
    stringLength
    substring
    ;

  isType = name: value: isAttrs value && value._type or null == name;
  highest = foldl' (most: next: if next < most then next else most) 9999;
  unique = foldl' (list: name: if elem name list then list else list ++ [ name ]) [ ];

  # Definitions of a set of options, each with its properties on its attributes.
  push =
    value:
    if isType "merge" value then
      concatMap push value.contents
    else if isType "if" value then
      map (mapAttrs (_: lib.mkIf value.condition)) (push value.content)
    else
      [ value ];

  # Values of an option, with their priorities.
  discharge =
    value:
    if isType "merge" value then
      concatMap discharge value.contents
    else if isType "if" value then
      if value.condition then discharge value.content else [ ]
    else if isType "override" value then
      [
        {
          inherit (value) priority;
          value = value.content;
        }
      ]
    else
      [
        {
          priority = 100;
          inherit value;
        }
      ];

  tree =
    path: options: definitions:
    let
      pushed = concatMap push definitions;
      unknown = filter (name: !(options ? ${name})) (concatMap attrNames pushed);
      at = name: concatMap (set: if set ? ${name} then [ set.${name} ] else [ ]) pushed;
    in
    if unknown != [ ] then
      throw "The option `${path}${head unknown}' does not exist"
    else
      mapAttrs (
        name: option: (if isType "option" option then value else tree) "${path}${name}." option (at name)
      ) options;

  value =
    path: option: definitions:
    merge path option.type (
      concatMap discharge definitions
      ++ (
        if option ? default then
          [
            {
              priority = 1500;
              value = option.default;
            }
          ]
        else
          [ ]
      )
    );

  merge =
    path: type: defined:
    let
      most = highest (map (one: one.priority) defined);
      values = map (one: one.value) (filter (one: one.priority == most) defined);
    in
    if values == [ ] then
      throw "The option `${path}' is used but not defined"
    else if !all type.check values then
      throw "A definition for option `${path}' is not of type ${type.name}"
    else
      type.merge path values;

  one =
    path: values:
    if all (value: value == head values) values then
      head values
    else
      throw "The option `${path}' has conflicting definition values";
  type = name: check: {
    inherit name check;
    merge = one;
  };

  declare =
    sets:
    let
      names = unique (concatMap attrNames sets);
      at = name: filter (set: set ? ${name}) sets;
      join =
        name:
        let
          found = map (set: set.${name}) (at name);
        in
        if isType "option" (head found) then head found else declare found;
    in
    lib.genAttrs names join;

  lib = {
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    mkDefault = lib.mkOverride 1000;
    mkForce = lib.mkOverride 50;
    mkOption = option: option // { _type = "option"; };
    literalExpression = text: { inherit text; };

    types = rec {
      bool = type "bool" isBool;
      int = type "int" isInt;
      package = type "package" isAttrs;
      str = type "str" isString;
      path = type "path" (value: isPath value || isString value && substring 0 1 value == "/");
      enum = words: type "enum" (value: elem value words);
      oneOf = types: type "oneOf" (value: lib.any (type: type.check value) types);
      listOf = inner: {
        name = "listOf ${inner.name}";
        check = isList;
        merge =
          path: lists:
          let
            list = concatLists lists;
          in
          if all inner.check list then list else throw "An element of `${path}' is not of type ${inner.name}";
      };
      attrsOf = inner: {
        name = "attrsOf ${inner.name}";
        check = isAttrs;
        merge =
          path: sets:
          let
            pushed = concatMap push sets;
            at = name: concatMap (set: if set ? ${name} then [ set.${name} ] else [ ]) pushed;
          in
          lib.genAttrs (unique (concatMap attrNames pushed)) (
            name: merge "${path}${name}." inner (concatMap discharge (at name))
          );
      };
      # Lists add up, sets are merged, and of anything else there is one.
      anything = {
        name = "anything";
        check = _: true;
        merge =
          path: values:
          if all isList values then
            concatLists values
          else if all (value: isAttrs value && !(value ? outPath)) values then
            (attrsOf anything).merge path values
          else
            one path values;
      };
    };

    evalModules =
      {
        modules,
        specialArgs ? { },
      }:
      let
        load = module: if isPath module || isString module then load (import module) else call module;
        loadAll =
          module:
          let
            loaded = load module;
          in
          [ loaded ] ++ concatMap loadAll (loaded.imports or [ ]);
        call =
          module: if isFunction module then module (specialArgs // { inherit config lib; }) else module;
        loaded = concatMap loadAll modules;
        config = tree "" (declare (map (module: module.options or { }) loaded)) (
          map (
            module:
            module.config or (removeAttrs module [
              "imports"
              "options"
            ])
          ) loaded
        );
      in
      {
        inherit config;
      };

    inherit (builtins) any attrNames genList;
    genAttrs =
      names: value:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = value name;
        }) names
      );
    mapAttrsToList = call: set: map (name: call name set.${name}) (attrNames set);
    setAttrByPath =
      path: value:
      foldl' (inner: index: { ${elemAt path (length path - 1 - index)} = inner; }) value (
        builtins.genList (index: index) (length path)
      );
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      stringLength text >= stringLength suffix
      && substring (stringLength text - stringLength suffix) (stringLength text) text == suffix;
    removePrefix =
      prefix: text:
      if lib.hasPrefix prefix text then
        substring (stringLength prefix) (stringLength text) text
      else
        text;
  };
in
lib
