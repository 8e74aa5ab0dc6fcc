// requant `multithreshold_4` of bipolar
module bipolar_multithreshold_4 (
  input  wire clk,
  input  wire [35:0] from_matmul_2,
  output wire [16:0] result);

  wire [3:0] matmul_2_t20 = from_matmul_2[3:0];
  wire [3:0] matmul_2_t23 = from_matmul_2[7:4];
  wire [3:0] matmul_2_t24 = from_matmul_2[11:8];
  wire [3:0] matmul_2_t27 = from_matmul_2[15:12];
  wire [3:0] matmul_2_t29 = from_matmul_2[19:16];
  wire [3:0] matmul_2_t30 = from_matmul_2[23:20];
  wire [3:0] matmul_2_t31 = from_matmul_2[27:24];
  wire [3:0] matmul_2_t32 = from_matmul_2[31:28];
  wire [3:0] matmul_2_t33 = from_matmul_2[35:32];
  wire y0 = ~matmul_2_t20[3];  // >= 0
  reg y0_r1;
  wire n1 = ~matmul_2_t23[3] | matmul_2_t23[2];  // >= -4
  wire n2 = ~matmul_2_t23[3] | matmul_2_t23[2] & matmul_2_t23[1];  // >= -2
  wire [1:0] n3 = {n2, n1};
  function [1:0] table0;
    input [1:0] x;
    case (x)
      2'd0: table0 = 2'd0;
      2'd1: table0 = 2'd1;
      2'd2: table0 = 2'd2;
      2'd3: table0 = 2'd2;
      default: table0 = {2{1'bx}};
    endcase
  endfunction
  wire [1:0] y1 = table0(n3);
  reg [1:0] y1_r1;
  wire n5 = ~matmul_2_t23[3] | &matmul_2_t23[2:1] & matmul_2_t23[0];  // >= -1
  wire n6 = ~matmul_2_t23[3] & (matmul_2_t23[2] | matmul_2_t23[1]);  // >= 2
  wire n7 = ~matmul_2_t23[3] & (matmul_2_t23[2] | matmul_2_t23[1] & matmul_2_t23[0]);  // >= 3
  wire [2:0] n8 = {n7, n6, n5};
  function [1:0] table1;
    input [2:0] x;
    case (x)
      3'd0: table1 = 2'd3;
      3'd1: table1 = 2'd2;
      3'd2: table1 = 2'd1;
      3'd3: table1 = 2'd1;
      3'd4: table1 = 2'd0;
      3'd5: table1 = 2'd0;
      3'd6: table1 = 2'd0;
      3'd7: table1 = 2'd0;
      default: table1 = {2{1'bx}};
    endcase
  endfunction
  wire [1:0] y2 = table1(n8);
  reg [1:0] y2_r1;
  wire y3 = ~matmul_2_t24[3] & (|matmul_2_t24[2:1] | matmul_2_t24[0]);  // >= 1
  reg y3_r1;
  wire n11 = ~matmul_2_t27[3] | &matmul_2_t27[2:1] & matmul_2_t27[0];  // >= -1
  wire n12 = ~matmul_2_t27[3] & matmul_2_t27[2] & (matmul_2_t27[1] | matmul_2_t27[0]);  // >= 5
  wire [1:0] n13 = {n12, n11};
  function [1:0] table2;
    input [1:0] x;
    case (x)
      2'd0: table2 = 2'd0;
      2'd1: table2 = 2'd2;
      2'd2: table2 = 2'd3;
      2'd3: table2 = 2'd3;
      default: table2 = {2{1'bx}};
    endcase
  endfunction
  wire [1:0] y4 = table2(n13);
  reg [1:0] y4_r1;
  wire n15 = ~matmul_2_t29[3] | &matmul_2_t29[2:1] & matmul_2_t29[0];  // >= -1
  wire n16 = ~matmul_2_t29[3] & matmul_2_t29[2];  // >= 4
  wire [1:0] n17 = {n16, n15};
  wire [1:0] y5 = table0(n17);
  reg [1:0] y5_r1;
  wire n19 = ~matmul_2_t30[3] | matmul_2_t30[2];  // >= -4
  wire n20 = ~matmul_2_t30[3] & (matmul_2_t30[2] | matmul_2_t30[1]);  // >= 2
  wire [1:0] n21 = {n20, n19};
  wire [1:0] y6 = table0(n21);
  reg [1:0] y6_r1;
  wire n23 = ~matmul_2_t31[3] | matmul_2_t31[2] & matmul_2_t31[1];  // >= -2
  wire n24 = ~matmul_2_t31[3] & (matmul_2_t31[2] | matmul_2_t31[1]);  // >= 2
  wire [1:0] n25 = {n24, n23};
  wire [1:0] y7 = table0(n25);
  reg [1:0] y7_r1;
  wire n27 = ~matmul_2_t32[3] | matmul_2_t32[2] & matmul_2_t32[1];  // >= -2
  wire n28 = ~matmul_2_t32[3] & (matmul_2_t32[2] | matmul_2_t32[1] & matmul_2_t32[0]);  // >= 3
  wire n29 = ~matmul_2_t32[3] & matmul_2_t32[2];  // >= 4
  wire [2:0] n30 = {n29, n28, n27};
  wire [1:0] y8 = table1(n30);
  reg [1:0] y8_r1;
  wire y9 = ~matmul_2_t33[3] & matmul_2_t33[2];  // >= 4
  reg y9_r1;
  assign result = {y9_r1, y8_r1, y7_r1, y6_r1, y5_r1, y4_r1, y3_r1, y2_r1, y1_r1, y0_r1};

  always @(posedge clk) begin
    y0_r1 <= y0;
    y1_r1 <= y1;
    y2_r1 <= y2;
    y3_r1 <= y3;
    y4_r1 <= y4;
    y5_r1 <= y5;
    y6_r1 <= y6;
    y7_r1 <= y7;
    y8_r1 <= y8;
    y9_r1 <= y9;
  end

endmodule
