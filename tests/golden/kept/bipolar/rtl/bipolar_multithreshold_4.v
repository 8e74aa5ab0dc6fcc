// requant `multithreshold_4` of bipolar
module bipolar_multithreshold_4 (
  input  wire clk,
  input  wire [35:0] from_matmul_2,
  output wire [16:0] result);

  wire [3:0] matmul_2_t14 = from_matmul_2[3:0];
  wire [3:0] matmul_2_t15_r1 = from_matmul_2[7:4];
  wire [3:0] matmul_2_t17 = from_matmul_2[11:8];
  wire [3:0] matmul_2_t19 = from_matmul_2[15:12];
  wire [3:0] matmul_2_t21 = from_matmul_2[19:16];
  wire [3:0] matmul_2_t23 = from_matmul_2[23:20];
  wire [3:0] matmul_2_t24 = from_matmul_2[27:24];
  wire [3:0] matmul_2_t25 = from_matmul_2[31:28];
  wire [3:0] matmul_2_t27 = from_matmul_2[35:32];
  wire y0 = ~matmul_2_t14[3];  // >= 0
  reg y0_r1;
  wire n1 = ~matmul_2_t15_r1[3] | matmul_2_t15_r1[2];  // >= -4
  wire n2 = ~matmul_2_t15_r1[3] | matmul_2_t15_r1[2] & matmul_2_t15_r1[1];  // >= -2
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
  wire n5 = ~matmul_2_t15_r1[3] | &matmul_2_t15_r1[2:1] & matmul_2_t15_r1[0];  // >= -1
  wire n6 = ~matmul_2_t15_r1[3] & (matmul_2_t15_r1[2] | matmul_2_t15_r1[1]);  // >= 2
  wire n7 = ~matmul_2_t15_r1[3] & (matmul_2_t15_r1[2] | matmul_2_t15_r1[1] & matmul_2_t15_r1[0]);  // >= 3
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
  wire y3 = ~matmul_2_t24[3] & (|matmul_2_t24[2:1] | matmul_2_t24[0]);  // >= 1
  wire n11 = ~matmul_2_t21[3] | &matmul_2_t21[2:1] & matmul_2_t21[0];  // >= -1
  wire n12 = ~matmul_2_t21[3] & matmul_2_t21[2] & (matmul_2_t21[1] | matmul_2_t21[0]);  // >= 5
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
  wire n15 = ~matmul_2_t17[3] | &matmul_2_t17[2:1] & matmul_2_t17[0];  // >= -1
  wire n16 = ~matmul_2_t17[3] & matmul_2_t17[2];  // >= 4
  wire [1:0] n17 = {n16, n15};
  reg [1:0] n17_r1;
  wire [1:0] y5 = table0(n17_r1);
  wire n19 = ~matmul_2_t19[3] | matmul_2_t19[2];  // >= -4
  wire n20 = ~matmul_2_t19[3] & (matmul_2_t19[2] | matmul_2_t19[1]);  // >= 2
  wire [1:0] n21 = {n20, n19};
  wire [1:0] y6 = table0(n21);
  wire n23 = ~matmul_2_t23[3] | matmul_2_t23[2] & matmul_2_t23[1];  // >= -2
  wire n24 = ~matmul_2_t23[3] & (matmul_2_t23[2] | matmul_2_t23[1]);  // >= 2
  wire [1:0] n25 = {n24, n23};
  wire [1:0] y7 = table0(n25);
  wire n27 = ~matmul_2_t25[3] | matmul_2_t25[2] & matmul_2_t25[1];  // >= -2
  wire n28 = ~matmul_2_t25[3] & (matmul_2_t25[2] | matmul_2_t25[1] & matmul_2_t25[0]);  // >= 3
  wire n29 = ~matmul_2_t25[3] & matmul_2_t25[2];  // >= 4
  wire [2:0] n30 = {n29, n28, n27};
  wire [1:0] y8 = table1(n30);
  wire y9 = ~matmul_2_t27[3] & matmul_2_t27[2];  // >= 4
  assign result = {y9, y8, y7, y6, y5, y4, y3, y2, y1, y0_r1};

  always @(posedge clk) begin
    y0_r1 <= y0;
    n17_r1 <= n17;
  end

endmodule
